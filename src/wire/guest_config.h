#pragma once

// What the host tells the guest's init, and what init reports back: lines of key=value, values percent-encoded where
// they hold control characters, '%' or newlines. The supervisor puts the text into the initramfs as /microagent/config
// (an appended cpio archive); init sends GuestFacts in its ready frame, and the mediator parses it as hostile input.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microagent::wire {

struct GuestNetwork {
  std::string mac;                  // which device to configure: 02:xx:...
  std::string ip;                   // CIDR, 192.168.64.2/24
  std::string gateway;
  std::vector<std::string> dns;     // at most 8
  std::vector<std::string> routes;  // "CIDR via IP", at most 64; a default route unless one is listed
};

struct GuestConfig {
  std::string hostname;
  std::optional<GuestNetwork> network;  // nothing: isolated
  std::vector<std::string> env;         // KEY=VALUE
  std::string entrypoint;               // run by /bin/sh -c; empty: no workload
};

// What the guest really has after set-up.
struct GuestFacts {
  std::string ip, subnet, gateway;
  std::vector<std::string> dns;
  std::vector<std::string> routes;
};

std::string encode_guest_config(const GuestConfig& config);
std::optional<GuestConfig> parse_guest_config(std::string_view text);
std::string encode_guest_facts(const GuestFacts& facts);
// Refuses more than 8 dns, 64 routes, addresses that are not IPv4 literals/CIDRs, and unknown keys.
std::optional<GuestFacts> parse_guest_facts(std::string_view text);

}  // namespace microagent::wire
