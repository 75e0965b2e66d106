// What a guest asks of DHCP, DHCPv6 and neighbour discovery. Whatever parses is answered, and the answer must fit; what
// was parsed must lie within the bytes.

#include "base/check.h"
#include "wire/dhcp.h"
#include "wire/dhcp6.h"
#include "wire/ndp.h"

namespace microagent::wire {
namespace {

bool lies_in(ByteView part, ByteView whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void run_dhcp(ByteView input) {
  const auto request = parse_dhcp(input);
  if (!request) return;
  MICROAGENT_CHECK(lies_in(request->client_identifier, input));
  std::array<Ipv4Octets, 4> resolvers{};
  const DhcpTerms terms{.prefix_length = input.back(), .resolvers = resolvers, .lease_seconds = 60};
  std::array<std::uint8_t, kMaxDhcpReply> reply{};
  const std::size_t size = encode_dhcp_reply(*request, DhcpKind::acknowledge, {}, terms, reply);
  MICROAGENT_CHECK(size >= sizeof(DhcpHeader) && size < reply.size());
}

void run_dhcp6(ByteView input) {
  const auto request = parse_dhcp6(input);
  if (!request) return;
  MICROAGENT_CHECK(lies_in(request->client_identifier, input) && lies_in(request->server_identifier, input));
  const Dhcp6Terms terms{.gives_address = true, .says_success = true};
  std::array<std::uint8_t, kMaxDhcp6Reply> reply{};
  const std::size_t size = encode_dhcp6_reply(*request, Dhcp6Kind::reply, terms, reply);
  MICROAGENT_CHECK(size > 4 && size <= reply.size());
}

}  // namespace
}  // namespace microagent::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace microagent;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  if (data[0] % 3 == 0) wire::run_dhcp(input);
  if (data[0] % 3 == 1) wire::run_dhcp6(input);
  if (data[0] % 3 == 2) (void)wire::look_at_ndp_options(input);
  return 0;
}
