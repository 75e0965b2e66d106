#pragma once

// What the host tells the guest's init, and what init reports back: lines of key=value, values percent-encoded where
// they hold control characters or '%'. A list is the same key again. The supervisor puts the text into the initramfs as
// /microagent/config (an appended cpio archive); init sends GuestFacts in its ready frame, and the mediator parses it
// as hostile input.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microagent::wire {

struct GuestNetwork {
  std::string mac;  // which device to configure: 02:xx:...
  std::string ip;   // CIDR, 192.168.64.2/24
  std::string gateway;
  std::vector<std::string> dns;     // of either family, at most 8
  std::vector<std::string> routes;  // "CIDR via IP", at most 64; a default route unless one is listed
  std::string ip6{};                // CIDR; empty: the device has no IPv6 at all
  std::string gateway6{};           // default route of IPv6 unless one is listed; may be link-local
};

// The guest's disks, by the serial numbers that their devices have.
inline constexpr const char* kRootDisk = "root";
inline constexpr const char* kVolumeDisk = "volume";  // and its number, from 0

struct GuestConfig {
  std::string hostname;
  std::optional<GuestNetwork> network;   // nothing: isolated
  std::vector<std::string> env;          // KEY=VALUE, as declared
  std::string entrypoint;                // run by /bin/sh -c; empty: the command
  std::vector<std::string> command{};    // argv; empty: no workload
  std::vector<std::string> image_env{};  // KEY=VALUE: the image's own, weaker than all others
  std::string user{};                    // of workload and commands: NAME|UID[:GROUP|GID]; empty: root
  std::string workdir{};                 // absolute; empty: /
  std::string init{};                    // the program that becomes process 1 in our place; empty: none
  std::uint32_t stop_signal = 0;         // for the workload, before everything is ended; 0: none
  bool root_disk = false;                // the root file system is the disk kRootDisk
  std::vector<std::string> volumes{};    // where they are mounted, by their numbers
};
inline constexpr std::size_t kMaxGuestVolumes = 4;
inline constexpr std::uint32_t kMaxSignal = 64;

// A part of the guest's boot.
struct BootStage {
  std::string name;  // of a-z and spaces
  std::uint32_t microseconds = 0;

  bool operator==(const BootStage&) const = default;
};
inline constexpr std::size_t kMaxBootStages = 16, kMaxStageName = 32;

// What the guest really has after set-up. Empty where it has none.
struct GuestFacts {
  std::string ip, subnet, gateway;  // IPv4: CIDR, CIDR, address
  std::vector<std::string> dns;     // of either family, as the routes
  std::vector<std::string> routes;  // "CIDR via IP"
  std::string ip6{}, gateway6{};    // IPv6: CIDR, address
  std::vector<BootStage> stages{};  // of the boot, in their order
};

inline constexpr std::size_t kMaxGuestDns = 8, kMaxGuestRoutes = 64;
// Beside the routes that were declared stands the default of either family.
inline constexpr std::size_t kMaxGuestRouteFacts = kMaxGuestRoutes + 2;

std::string encode_guest_config(const GuestConfig& config);
// Refuses unknown keys, single keys given twice, and lists that are too long; the addresses are init's to judge.
std::optional<GuestConfig> parse_guest_config(std::string_view text);
std::string encode_guest_facts(const GuestFacts& facts);
// Refuses the same, and addresses that are no literals of their family, no CIDRs or no routes.
std::optional<GuestFacts> parse_guest_facts(std::string_view text);

}  // namespace microagent::wire
