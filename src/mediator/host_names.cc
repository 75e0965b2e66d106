#include "mediator/host_names.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "dns/hosts.h"
#include "mediator/resolver_exchange.h"

namespace microagent::mediator {
namespace {

using Addresses = std::vector<policy::Address>;
using Found = tl::expected<Addresses, std::string>;

tl::unexpected<std::string> failed(std::string why) { return tl::unexpected(std::move(why)); }

Addresses addresses_of_file(std::string_view name) {
  std::ostringstream hosts;
  hosts << std::ifstream("/etc/hosts").rdbuf();
  Addresses addresses = dns::addresses_in_hosts(hosts.str(), name);
  if (addresses.empty() && dns::is_localhost(name)) {
    addresses = {*policy::parse_address("127.0.0.1"), *policy::parse_address("::1")};
  }
  return addresses;
}

// Those of one type; none where the name has none.
asio::awaitable<Found> ask(std::string name, std::uint16_t type, Deadline deadline) {
  dns::ResolverList resolvers(std::filesystem::path("/etc/resolv.conf"));
  dns::Lookup lookup(dns::make_query(name, type), dns::Transport::udp, resolvers.current(), random_query_id);
  std::string error = "no resolver is configured";
  while (const auto attempt = lookup.next()) {
    const Deadline now = in({});
    if (now >= deadline) co_return failed("its name is not resolved in time");
    error = co_await ask_resolver(lookup, *attempt, std::min(deadline, now + attempt->timeout));
  }
  if (const dns::Digest* digest = lookup.digest()) co_return digest->bindings.addresses;
  co_return failed("its name is not resolved: " + (error.empty() ? "every resolver failed" : error));
}

}  // namespace

asio::awaitable<Found> addresses_of_host(std::string name, Deadline deadline) {
  Addresses addresses = addresses_of_file(name);
  if (!addresses.empty()) co_return addresses;
  for (const std::uint16_t type : {dns::kTypeA, dns::kTypeAaaa}) {
    auto found = co_await ask(name, type, deadline);
    if (!found && addresses.empty()) co_return found;
    if (found) addresses.insert(addresses.end(), found->begin(), found->end());
  }
  if (addresses.empty()) co_return failed("its name is not resolved: it has no address");
  co_return addresses;
}

}  // namespace microagent::mediator
