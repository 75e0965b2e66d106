#include "dns/resolvers.h"

#include <fmt/format.h>
#include <net/if.h>

#include <fstream>
#include <optional>
#include <sstream>

namespace microagent::dns {
namespace {

constexpr std::size_t kMaxResolvers = 3;  // MAXNS of <resolv.h>

std::optional<Resolver> parse_resolver(std::string_view text) {
  const std::size_t percent = text.find('%');
  const auto address = policy::parse_address(text.substr(0, percent));
  if (!address) return std::nullopt;
  Resolver resolver{*address};
  if (percent == std::string_view::npos) return resolver;
  resolver.scope = ::if_nametoindex(std::string(text.substr(percent + 1)).c_str());
  if (resolver.scope == 0) return std::nullopt;
  return resolver;
}

}  // namespace

std::string to_string(const Resolver& resolver) {
  const bool ipv4 = resolver.address.family == policy::Address::Family::ipv4;
  const std::string address = policy::to_string(resolver.address);
  return ipv4 ? fmt::format("{}:{}", address, resolver.port) : fmt::format("[{}]:{}", address, resolver.port);
}

std::vector<Resolver> parse_resolv_conf(std::string_view text) {
  std::vector<Resolver> resolvers;
  std::istringstream lines{std::string(text)};
  for (std::string line; resolvers.size() < kMaxResolvers && std::getline(lines, line);) {
    std::istringstream words(line);
    std::string keyword, address;
    if (!(words >> keyword >> address) || keyword != "nameserver") continue;
    if (const auto resolver = parse_resolver(address)) resolvers.push_back(*resolver);
  }
  return resolvers;
}

const std::vector<Resolver>& ResolverList::current() {
  if (file_.empty()) return resolvers_;
  struct stat info {};
  if (::stat(file_.c_str(), &info) != 0) {
    version_ = {};
    resolvers_.clear();
    return resolvers_;
  }
  const Version seen{info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
  if (seen == version_) return resolvers_;
  std::ostringstream content;
  content << std::ifstream(file_).rdbuf();
  resolvers_ = parse_resolv_conf(content.str());
  version_ = seen;
  return resolvers_;
}

}  // namespace microagent::dns
