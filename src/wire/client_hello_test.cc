#include "wire/client_hello.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "wire/test_client_hello.h"

namespace microagent::wire {
namespace {

using State = ClientHelloReader::State;
using Fault = ClientHelloFault;

constexpr std::string_view kName = "api.example.com";

ClientHelloReader read(const HelloBytes& bytes) {
  ClientHelloReader reader;
  reader.feed(bytes);
  return reader;
}

Fault fault_of(const HelloBytes& bytes) {
  const ClientHelloReader reader = read(bytes);
  EXPECT_EQ(reader.state(), State::failed);
  return reader.fault();
}

Fault fault_of_name(std::string_view name) { return fault_of(TestHello::to(name).encode()); }

HelloBytes changed(HelloBytes bytes, std::size_t at, std::uint8_t value) {
  bytes.at(at) = value;
  return bytes;
}

TEST(ClientHello, TellsNameProtocolsAndEncryption) {
  TestHello hello = TestHello::to(kName).with(16, protocol_list({"h2", "http/1.1"}));
  const ClientHelloReader plain = read(hello.encode());
  ASSERT_EQ(plain.state(), State::complete);
  EXPECT_EQ(plain.hello().server_name, kName);
  EXPECT_EQ(plain.hello().alpn, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_FALSE(plain.hello().encrypted);
  EXPECT_TRUE(read(hello.with(0xfe0d, {0, 1, 2}).encode()).hello().encrypted);
}

TEST(ClientHello, NeedsNeitherNameNorExtensions) {
  const ClientHelloReader nameless = read(TestHello{}.with(43, {2, 3, 4}).encode());
  ASSERT_EQ(nameless.state(), State::complete);
  EXPECT_EQ(nameless.hello().server_name, "");

  HelloBytes message = TestHello{}.message();
  message.resize(message.size() - 2);  // the length of the extensions
  message[3] = static_cast<std::uint8_t>(message.size() - 4);
  EXPECT_EQ(read(TestHello::in_records(message, 1000)).state(), State::complete);
}

TEST(ClientHello, IsTheSameOverAnyRecordsAndPieces) {
  const TestHello hello = TestHello::to(kName).with(16, protocol_list({"h2"})).with(21, HelloBytes(200));
  for (const std::size_t fragment : {1U, 2U, 3U, 4U, 5U, 7U, 100U, 1000U}) {
    const HelloBytes bytes = hello.encode(fragment);
    for (const std::size_t piece : {1U, 2U, 6U, 50U, 5000U}) {
      ClientHelloReader reader;
      for (std::size_t at = 0; at < bytes.size(); at += piece) {
        EXPECT_EQ(reader.state(), State::incomplete);
        reader.feed(ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
      }
      ASSERT_EQ(reader.state(), State::complete) << fragment << ' ' << piece;
      EXPECT_EQ(reader.hello().server_name, kName);
    }
  }
}

TEST(ClientHello, EveryPrefixIsIncomplete) {
  const HelloBytes bytes = TestHello::to(kName).with(16, protocol_list({"h2"})).encode(50);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(read(HelloBytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))).state(),
              State::incomplete)
        << size;
  }
}

// A message that ends early although its header counts all that came: each cut must be noticed.
TEST(ClientHello, EveryTruncatedMessageIsRefused) {
  const HelloBytes whole = TestHello::to(kName).with(16, protocol_list({"h2"})).message();
  const std::size_t without_extensions = 4 + 2 + 32 + 1 + 32 + 2 + 4 + 1 + 1;
  for (std::size_t size = 5; size < whole.size(); ++size) {
    HelloBytes message(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    message[3] = static_cast<std::uint8_t>(size - 4);
    const ClientHelloReader reader = read(TestHello::in_records(message, 1000));
    if (size == without_extensions) continue;  // whole without them
    EXPECT_EQ(reader.state(), State::failed) << size;
  }
}

TEST(ClientHello, KnowsOtherProtocolsByTheirFirstByteThatDiffers) {
  for (const std::string_view text : {"GET / HTTP/1.1", "SSH-2.0-x", "\x16GET", "\x16\x03\x05", "\x80\x2e\x01\x03"}) {
    EXPECT_EQ(fault_of(HelloBytes(text.begin(), text.end())), Fault::not_tls) << text;
  }
  EXPECT_EQ(fault_of({22, 3, 1, 0, 0}), Fault::not_tls);
  EXPECT_EQ(fault_of({22, 3, 1, 0x40, 1}), Fault::not_tls);
  EXPECT_EQ(fault_of({22, 3, 3, 0, 4, 2, 0, 0, 9}), Fault::not_tls);  // a ServerHello
}

TEST(ClientHello, LetsNothingElseStandBetweenItsRecords) {
  HelloBytes bytes = TestHello::to(kName).encode(20);
  const std::size_t second = 5 + 20;
  EXPECT_EQ(fault_of(changed(bytes, second, 21)), Fault::bad_record);
  EXPECT_EQ(fault_of(changed(bytes, second + 1, 2)), Fault::bad_record);
  EXPECT_EQ(fault_of(changed(bytes, second + 4, 0)), Fault::bad_record);
}

TEST(ClientHello, LeavesWhatFollowsInOtherRecords) {
  HelloBytes bytes = TestHello::to(kName).encode();
  put(bytes, "\x17\x03\x03 early data");
  EXPECT_EQ(read(bytes).state(), State::complete);
}

TEST(ClientHello, RefusesASecondMessageInItsRecord) {
  HelloBytes message = TestHello::to(kName).message();
  const HelloBytes second = TestHello::to("other.example").message();
  message.insert(message.end(), second.begin(), second.end());
  EXPECT_EQ(fault_of(TestHello::in_records(message, 16'000)), Fault::bad_record);
}

TEST(ClientHello, TakesNamesThatAreHostNames) {
  const std::string label(63, 'a');
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
  for (const std::string_view name : {"a", "x_y.example", "1.example", "EXAMPLE.Com", "example.com.",
                                      "xn--bcher-kva.de", longest.c_str(), "1a", "0x.example"}) {
    EXPECT_EQ(read(TestHello::to(name).encode()).hello().server_name, name);
  }
}

TEST(ClientHello, RefusesNamesThatAreNone) {
  using namespace std::string_view_literals;
  const std::string long_label = std::string(64, 'a') + ".com";
  const std::string too_long =
      std::string(63, 'a') + '.' + std::string(63, 'b') + '.' + std::string(63, 'c') + '.' + std::string(62, 'd');
  for (const std::string_view name :
       {""sv, "."sv, ".com"sv, "a..b"sv, "a.."sv, "good.example\0.evil.example"sv, "a b"sv, "a/b"sv, "a:443"sv,
        "b\xc3\xbc"
        "cher.de"sv,
        "*.example"sv, "user@host"sv, "%61.example"sv, std::string_view(long_label), std::string_view(too_long)}) {
    EXPECT_EQ(fault_of_name(name), Fault::bad_name) << name;
  }
}

TEST(ClientHello, RefusesAddressesInEveryWriting) {
  for (const std::string_view name : {"10.0.0.1", "10.1", "167772161", "0x0a000001", "012.0.0.1", "10.0.0.0x1",
                                      "1.2.3.4.", "::1", "[::1]", "0X7F000001"}) {
    EXPECT_EQ(fault_of_name(name), Fault::bad_name) << name;
  }
}

TEST(ClientHello, WantsExactlyOneHostName) {
  const auto with_list = [](HelloBytes list) { return TestHello{}.with(0, std::move(list)).encode(); };
  EXPECT_EQ(fault_of(with_list(name_list({}))), Fault::bad_name_list);
  EXPECT_EQ(fault_of(with_list(name_list({"a.example", "b.example"}))), Fault::bad_name_list);
  EXPECT_EQ(fault_of(with_list(name_list({"a.example"}, 1))), Fault::bad_name_list);
  EXPECT_EQ(fault_of(with_list({})), Fault::bad_structure);
  EXPECT_EQ(fault_of(with_list({0, 9, 0, 0, 1, 'a'})), Fault::bad_structure);
  EXPECT_EQ(fault_of(with_list({0, 4, 0, 0, 2, 'a'})), Fault::bad_name_list);
  EXPECT_EQ(fault_of(with_list({0, 4, 0, 0, 1, 'a', 0})), Fault::bad_structure);
}

TEST(ClientHello, RefusesAnExtensionTwice) {
  EXPECT_EQ(fault_of(TestHello::to("a.example").with(0, name_list({"b.example"})).encode()), Fault::bad_structure);
  EXPECT_EQ(fault_of(TestHello{}.with(43, {}).with(43, {}).encode()), Fault::bad_structure);
}

TEST(ClientHello, RefusesEmptyProtocols) {
  EXPECT_EQ(fault_of(TestHello{}.with(16, protocol_list({})).encode()), Fault::bad_alpn);
  EXPECT_EQ(fault_of(TestHello{}.with(16, protocol_list({"h2", ""})).encode()), Fault::bad_alpn);
  EXPECT_EQ(fault_of(TestHello{}.with(16, {0, 3, 5, 'h', '2'}).encode()), Fault::bad_structure);
  EXPECT_EQ(fault_of(TestHello{}.with(16, {0, 1, 1}).encode()), Fault::bad_structure);
}

TEST(ClientHello, ChecksTheOldFields) {
  TestHello hello = TestHello::to(kName);
  hello.session = 33;
  EXPECT_EQ(fault_of(hello.encode()), Fault::bad_structure);
  hello.session = 0;
  EXPECT_EQ(read(hello.encode()).state(), State::complete);
  hello.ciphers = 3;
  EXPECT_EQ(fault_of(hello.encode()), Fault::bad_structure);
  hello.ciphers = 0;
  EXPECT_EQ(fault_of(hello.encode()), Fault::bad_structure);
  hello.ciphers = 2;
  hello.compressions = 0;
  EXPECT_EQ(fault_of(hello.encode()), Fault::bad_structure);
}

TEST(ClientHello, HoldsNoMoreThanItsBound) {
  TestHello hello = TestHello::to(kName);
  const std::size_t rest = hello.message().size() + 4;  // and the padding's own head
  hello.with(21, HelloBytes(kMaxClientHello - 5 - rest));
  EXPECT_EQ(hello.encode().size(), kMaxClientHello);
  EXPECT_EQ(read(hello.encode()).state(), State::complete);

  hello.extensions.back().second.push_back(0);
  EXPECT_EQ(fault_of(hello.encode()), Fault::too_long);
  EXPECT_EQ(fault_of({22, 3, 1, 0, 4, 1, 1, 0, 0}), Fault::too_long);
  // Within the bound by its own length, beyond it by the heads of its records.
  hello.extensions.back().second.resize(12'000);
  EXPECT_EQ(fault_of(hello.encode(10)), Fault::too_long);
}

TEST(ClientHello, StaysSettled) {
  ClientHelloReader reader = read(TestHello::to(kName).encode());
  EXPECT_EQ(reader.feed(HelloBytes{0}), State::complete);
  ClientHelloReader failed = read({0});
  EXPECT_EQ(failed.feed(TestHello::to(kName).encode()), State::failed);
}

TEST(ClientHello, StandsMutatedMessages) {
  std::mt19937 random(1);
  const HelloBytes whole = TestHello::to(kName).with(16, protocol_list({"h2", "http/1.1"})).encode(40);
  std::size_t complete = 0;
  for (int round = 0; round < 20'000; ++round) {
    HelloBytes bytes = whole;
    for (unsigned i = 0; i < 1 + random() % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    const ClientHelloReader reader = read(bytes);
    complete += reader.state() == State::complete;
    const std::string& name = reader.hello().server_name;
    EXPECT_TRUE(name.empty() || is_host_name(name));
  }
  EXPECT_GT(complete, 0U);
}

}  // namespace
}  // namespace microagent::wire
