#include "dns/hosts.h"

#include <strings.h>

#include <sstream>
#include <string>

namespace microagent::dns {
namespace {

bool same(std::string_view one, std::string_view other) {
  return one.size() == other.size() && ::strncasecmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace

std::vector<policy::Address> addresses_in_hosts(std::string_view text, std::string_view name) {
  std::vector<policy::Address> addresses;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word;
    words >> word;
    const auto address = policy::parse_address(word);
    if (!address) continue;
    while (words >> word) {
      if (!same(word, name)) continue;
      addresses.push_back(*address);
      break;
    }
  }
  return addresses;
}

bool is_localhost(std::string_view name) {
  constexpr std::string_view kLocalhost = "localhost", kBelow = ".localhost";
  if (name.ends_with('.')) name.remove_suffix(1);
  if (same(name, kLocalhost)) return true;
  return name.size() > kBelow.size() && same(name.substr(name.size() - kBelow.size()), kBelow);
}

}  // namespace microagent::dns
