#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "policy/address.h"

namespace microagent::dns {

inline constexpr std::uint16_t kPort = 53;

struct Resolver {
  policy::Address address;
  std::uint16_t port = kPort;
  std::uint32_t scope = 0;  // interface index of a link-local address
  bool operator==(const Resolver&) const = default;
};

std::string to_string(const Resolver& resolver);

// The `nameserver` lines of resolv.conf(5), at most the three that every resolver library reads. Lines that do not
// parse are passed over, as the libraries do.
std::vector<Resolver> parse_resolv_conf(std::string_view text);

// Whom to ask: the declared resolvers, else those of a resolv.conf, read again when the file changes.
class ResolverList {
 public:
  explicit ResolverList(std::vector<Resolver> declared) : resolvers_(std::move(declared)) {}
  explicit ResolverList(std::filesystem::path resolv_conf) : file_(std::move(resolv_conf)) {}

  // Empty when the file is missing or names none.
  const std::vector<Resolver>& current();

 private:
  struct Version {
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;
    bool operator==(const Version&) const = default;
  };

  std::filesystem::path file_;
  Version version_;
  std::vector<Resolver> resolvers_;
};

}  // namespace microagent::dns
