#include "wire/dhcp.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace microagent::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes request(const Bytes& options, const DhcpHeader& changed = {}) {
  DhcpHeader header = changed;
  if (header.operation == 0) header.operation = DhcpHeader::kRequest;
  Bytes out(bytes_of(header).begin(), bytes_of(header).end());
  out.insert(out.end(), options.begin(), options.end());
  return out;
}

TEST(ParseDhcp, FindsItsOptions) {
  const Bytes bytes = request({53, 1, 3, 0, 0, 50, 4, 192, 168, 64, 2, 61, 3, 7, 8, 9, 54, 4, 192, 168, 64, 1, 255});
  const auto message = parse_dhcp(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, DhcpKind::request);
  EXPECT_EQ(message->requested_address, (Ipv4Octets{192, 168, 64, 2}));
  EXPECT_EQ(message->server, (Ipv4Octets{192, 168, 64, 1}));
  EXPECT_TRUE(std::ranges::equal(message->client_identifier, Bytes{7, 8, 9}));
}

TEST(ParseDhcp, NeedsAKindAndNothingElse) {
  EXPECT_TRUE(parse_dhcp(request({53, 1, 1, 255})));
  EXPECT_TRUE(parse_dhcp(request({53, 1, 1}))) << "the end may be left out";
  EXPECT_FALSE(parse_dhcp(request({255, 53, 1, 1})));
  EXPECT_FALSE(parse_dhcp(request({})));
  EXPECT_FALSE(parse_dhcp(request({53, 1, 0, 255})));
}

TEST(ParseDhcp, WalksOptionsOfAnyLengthWithinTheMessage) {
  const Bytes whole = request({12, 0, 55, 3, 1, 3, 6, 61, 2, 1, 1, 53, 1, 1, 255});
  EXPECT_TRUE(parse_dhcp(whole));
  for (std::size_t size = 0; size < whole.size() - 1; ++size) {
    const auto message = parse_dhcp(ByteView(whole).first(size));
    // What is cut off between two options is still a message once it has a kind, which comes last.
    EXPECT_FALSE(message) << size;
  }
  for (int length = 0; length < 256; ++length) {
    Bytes options{53, 1, 1, 12, static_cast<std::uint8_t>(length)};
    options.resize(5 + 100, 0);
    EXPECT_EQ(parse_dhcp(request(options)).has_value(), length <= 100) << length;
  }
  // Pads to the very end, and one option that is all tag.
  EXPECT_TRUE(parse_dhcp(request({53, 1, 1, 0, 0, 0})));
  EXPECT_FALSE(parse_dhcp(request({53, 1, 1, 12})));
}

TEST(ParseDhcp, RefusesOptionsOfTheWrongLength) {
  EXPECT_FALSE(parse_dhcp(request({53, 0, 255})));
  EXPECT_FALSE(parse_dhcp(request({53, 2, 1, 1, 255})));
  EXPECT_FALSE(parse_dhcp(request({53, 1, 1, 50, 3, 1, 2, 3, 255})));
  EXPECT_FALSE(parse_dhcp(request({53, 1, 1, 54, 5, 1, 2, 3, 4, 5, 255})));
}

TEST(ParseDhcp, CountsTheFirstOfTwo) {
  const Bytes bytes = request({53, 1, 1, 53, 1, 3, 50, 4, 1, 1, 1, 1, 50, 4, 2, 2, 2, 2, 255});
  const auto message = parse_dhcp(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, DhcpKind::discover);
  EXPECT_EQ(message->requested_address, (Ipv4Octets{1, 1, 1, 1}));
}

TEST(ParseDhcp, RefusesOtherProtocols) {
  const Bytes options{53, 1, 1, 255};
  const auto refused = [&](auto change) {
    DhcpHeader header;
    header.operation = DhcpHeader::kRequest;
    change(header);
    EXPECT_FALSE(parse_dhcp(request(options, header)));
  };
  refused([](DhcpHeader& header) { header.operation = DhcpHeader::kReply; });
  refused([](DhcpHeader& header) { header.magic = 0x63825364; });
  refused([](DhcpHeader& header) { header.hardware_type = 6; });
  refused([](DhcpHeader& header) { header.hardware_length = 16; });
}

class EncodeDhcpTest : public ::testing::Test {
 protected:
  void encode(DhcpKind kind) {
    std::array<std::uint8_t, kMaxDhcpReply> bytes{};
    const std::size_t size = encode_dhcp_reply(asked, kind, {192, 168, 64, 2}, terms, bytes);
    reply.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    Reader reader(reply);
    ASSERT_TRUE(reader.read(header));
    options.clear();
    std::uint8_t option = 0, length = 0;
    ByteView value;
    while (reader.read(option) && option != 255) {
      ASSERT_TRUE(reader.read(length) && reader.take(length, value));
      EXPECT_TRUE(options.emplace(option, Bytes(value.begin(), value.end())).second);
    }
    EXPECT_EQ(option, 255) << "the end is told";
  }

  DhcpMessage asked;
  std::array<Ipv4Octets, 2> resolvers{Ipv4Octets{192, 168, 64, 1}, Ipv4Octets{198, 51, 100, 53}};
  DhcpTerms terms{.server = {192, 168, 64, 1},
                  .prefix_length = 20,
                  .router = {192, 168, 64, 1},
                  .resolvers = resolvers,
                  .mtu = 1400,
                  .lease_seconds = 86'400};
  Bytes reply;
  DhcpHeader header;
  std::map<int, Bytes> options;
};

TEST_F(EncodeDhcpTest, TellsEverything) {
  asked.header.transaction = 0x12345678;
  asked.header.flags = DhcpHeader::kBroadcast;
  asked.header.hardware_address = {1, 2, 3, 4, 5, 6};
  encode(DhcpKind::acknowledge);
  EXPECT_EQ(header.operation, DhcpHeader::kReply);
  EXPECT_EQ(header.transaction, 0x12345678U);
  EXPECT_EQ(header.flags, DhcpHeader::kBroadcast);
  EXPECT_EQ(header.hardware_address, asked.header.hardware_address);
  EXPECT_EQ(header.yours, (Ipv4Octets{192, 168, 64, 2}));
  EXPECT_EQ(options[53], (Bytes{5}));
  EXPECT_EQ(options[54], (Bytes{192, 168, 64, 1}));
  EXPECT_EQ(options[1], (Bytes{255, 255, 240, 0}));
  EXPECT_EQ(options[28], (Bytes{192, 168, 79, 255}));
  EXPECT_EQ(options[3], (Bytes{192, 168, 64, 1}));
  EXPECT_EQ(options[6], (Bytes{192, 168, 64, 1, 198, 51, 100, 53}));
  EXPECT_EQ(options[26], (Bytes{1400 >> 8, 1400 & 255}));
  EXPECT_EQ(options[51], (Bytes{0, 1, 0x51, 0x80}));
  EXPECT_EQ(options[58], (Bytes{0, 0, 0xa8, 0xc0}));
  EXPECT_EQ(options[59], (Bytes{0, 1, 0x27, 0x50}));
  EXPECT_FALSE(options.contains(61));
  EXPECT_GE(reply.size(), 300U);
}

TEST_F(EncodeDhcpTest, RefusesWithoutTerms) {
  encode(DhcpKind::refuse);
  EXPECT_EQ(header.yours, Ipv4Octets{});
  EXPECT_EQ(options.size(), 2U);
}

TEST_F(EncodeDhcpTest, TellsNoLeaseWhereThereIsNone) {
  terms.lease_seconds = 0;
  terms.resolvers = {};
  encode(DhcpKind::acknowledge);
  EXPECT_FALSE(options.contains(51) || options.contains(58) || options.contains(59) || options.contains(6));
  EXPECT_TRUE(options.contains(1) && options.contains(3));
}

TEST_F(EncodeDhcpTest, FitsWithTheLongestOfEverything) {
  const Bytes identifier(255, 7);
  asked.client_identifier = identifier;
  const std::vector<Ipv4Octets> many(20, Ipv4Octets{9, 9, 9, 9});
  terms.resolvers = many;
  encode(DhcpKind::acknowledge);
  EXPECT_EQ(options[61], identifier);
  EXPECT_EQ(options[6].size(), 32U);
  EXPECT_TRUE(options.contains(26));
  terms.prefix_length = 32;
  encode(DhcpKind::acknowledge);
  EXPECT_EQ(options[1], (Bytes{255, 255, 255, 255}));
}

}  // namespace
}  // namespace microagent::wire
