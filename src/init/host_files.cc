#include "init/host_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "init/address.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr std::size_t kMaxResolvConf = 64 * 1024;
constexpr std::string_view kNameserver = "nameserver ";

std::string without_prefix(const std::string& cidr) { return cidr.substr(0, cidr.find('/')); }

// An image's own may be a link to what its init would make.
Status replace_file(const char* path, std::string_view text) {
  struct stat facts {};
  if (::lstat(path, &facts) == 0 && S_ISLNK(facts.st_mode) && ::unlink(path) != 0) {
    return fail_errno(errno, concat("cannot replace ", path));
  }
  return write_file(path, text);
}

}  // namespace

std::string hosts_text(const wire::GuestConfig& config) {
  std::string text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
  if (config.hostname.empty()) return text;
  // A name without a network address still has to be found: Debian's own custom for it.
  const bool has_address = config.network && !config.network->ip.empty();
  text += concat(has_address ? without_prefix(config.network->ip) : "127.0.1.1", " ", config.hostname, "\n");
  if (config.network && !config.network->ip6.empty()) {
    text += concat(without_prefix(config.network->ip6), " ", config.hostname, "\n");
  }
  return text;
}

std::string resolv_conf_text(const std::vector<std::string>& dns) {
  std::string text;
  for (const std::string& address : dns) text += concat(kNameserver, address, "\n");
  return text;
}

std::vector<std::string> resolvers_of(std::string_view resolv_conf) {
  std::vector<std::string> resolvers;
  while (!resolv_conf.empty() && resolvers.size() < wire::kMaxGuestDns) {
    const std::size_t end = resolv_conf.find('\n');
    const std::string_view line = resolv_conf.substr(0, end);
    resolv_conf.remove_prefix(end == std::string_view::npos ? resolv_conf.size() : end + 1);
    if (!line.starts_with(kNameserver)) continue;
    if (const auto address = parse_address(line.substr(kNameserver.size()))) resolvers.push_back(to_text(*address));
  }
  return resolvers;
}

Status write_host_files(const wire::GuestConfig& config) {
  if (!config.hostname.empty()) {
    if (::sethostname(config.hostname.data(), config.hostname.size()) != 0) {
      return fail_errno(errno, concat("cannot set the name ", config.hostname));
    }
    if (Status written = replace_file("/etc/hostname", config.hostname + "\n"); !written) return written;
  }
  if (Status written = replace_file("/etc/hosts", hosts_text(config)); !written) return written;
  if (!config.network) return {};
  return replace_file(kResolvConf, resolv_conf_text(config.network->dns));
}

Result<std::vector<std::string>> read_resolvers() {
  const auto text = read_file(kResolvConf, kMaxResolvConf);
  if (!text) return fail(text.error());
  return resolvers_of(*text);
}

}  // namespace microagent::init
