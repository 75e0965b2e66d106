#pragma once

// What a user declared: the content of workspace.json, the result of merging flags and spec.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "workspace/egress.h"
#include "workspace/image.h"
#include "workspace/swap.h"
#include "workspace/upkeep.h"

namespace microagent::workspace {

enum class NetworkMode { user, isolated };
enum class Transport { tcp, udp };

// One published port. `host_port` 0 means "take a free one at start".
struct Forward {
  Transport protocol = Transport::tcp;
  std::string host = "127.0.0.1";  // normalised IP literal, without brackets
  std::uint16_t host_port = 0;
  std::uint16_t guest_port = 0;
  bool operator==(const Forward&) const = default;
};

struct Network {
  NetworkMode mode = NetworkMode::user;
  std::vector<Forward> forwards;  // ranges are already expanded
  // As declared; empty where undeclared. effective() fills the defaults in.
  std::string ip, subnet, gateway;
  std::vector<std::string> dns;     // IP literals
  std::vector<std::string> routes;  // "CIDR via IP", normalised
};

// The addresses a user-mode workspace really uses: declared ones, else 192.168.64.2/24 with gateway and resolver .1.
struct EffectiveNetwork {
  std::string ip;      // CIDR
  std::string subnet;  // CIDR
  std::string gateway;
  std::vector<std::string> dns;     // what the guest's resolv.conf says: declared, or the gateway
  std::vector<std::string> routes;  // declared, and "0.0.0.0/0 via <gateway>" unless a default route is
};

struct Resources {
  std::uint32_t memory_mib = 512;
  std::uint32_t cpus = 1;
  std::uint32_t disk_mib = 0;  // of the root disk; 0: as large as is usual
};

// A named volume, and where the guest has it.
struct Volume {
  std::string name, path;
  bool operator==(const Volume&) const = default;
};

// A tar archive, and the directory of the guest's that it was unpacked into when the workspace was made.
struct Bundle {
  std::string file, path;
  bool operator==(const Bundle&) const = default;
};

// The mediation channel: a guest's connection to CID 2, `port`, is led to `target` (mediation.h). Not to be confused
// with the mediation of egress.
struct Mediation {
  std::uint32_t port = 0;
  std::string target;       // "127.0.0.1:9900", "[::1]:9900", "unix:/path"
  bool required = true;     // no start without its target
  bool fail_closed = true;  // what required means for scripts that ask; a channel without target is refused either way
};

struct Manifest {
  std::string name;
  Network network;
  Resources resources;
  std::vector<std::string> env;  // KEY=VALUE
  std::string entrypoint;        // shell command line; empty: none
  Egress egress;
  std::vector<DeclaredSwap> swaps;
  std::optional<Mediation> mediation;
  Upkeep upkeep;
  std::optional<Image> image{};        // nothing: the built-in base, in the guest's memory
  std::vector<std::string> command{};  // argv, in place of the image's command
  std::string init{};                  // a program of the image that becomes the guest's process 1; empty: none
  std::vector<Volume> volumes{};
  std::vector<Bundle> bundles{};
  std::string created_at;  // RFC 3339
};

std::string_view to_string(NetworkMode mode);
std::string_view to_string(Transport protocol);

EffectiveNetwork effective(const Network& network);

// Every rule of the contract over the merged whole; the first violation, naming flag or key.
Status validate(const Manifest& manifest);

nlohmann::json to_json(const Manifest& manifest);
// Strict: an unknown or missing key, or a value of the wrong type, is an error that names `file`.
Result<Manifest> manifest_from_json(const nlohmann::json& json, std::string_view file);

// The network record of the contract (`mode portForwards ip subnet gateway dns routes`, empty ones left out).
nlohmann::json network_record(const Network& network);

}  // namespace microagent::workspace
