#include "mediator/first_words.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

#include "http/test_http2.h"
#include "wire/test_client_hello.h"

namespace microagent::mediator {
namespace {

using http::operator+;
using policy::Content;
using wire::TestHello;

ByteView bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

// Fed one byte at a time: the most pieces there can be.
WordsReader read(ByteView stream) {
  WordsReader reader;
  for (std::size_t i = 0; i < stream.size(); ++i) reader.feed(stream.subspan(i, 1));
  return reader;
}

TEST(FirstWords, KnowTls) {
  const WordsReader reader =
      read(TestHello::to("Api.example").with(16, wire::protocol_list({"h2"})).with(0xfe0d, {0}).encode(7));
  ASSERT_TRUE(reader.settled());
  const FirstWords& words = reader.words();
  EXPECT_EQ(words.content, Content::tls);
  EXPECT_EQ(words.name, "Api.example");
  EXPECT_EQ(words.alpn, std::vector<std::string>{"h2"});
  EXPECT_TRUE(words.encrypted_hello);
  EXPECT_EQ(words.fault, "");
}

TEST(FirstWords, KnowHttp) {
  const WordsReader http1 = read(bytes("GET / HTTP/1.1\r\nHost: a.example:80\r\nAccept: application/json\r\n\r\n"));
  EXPECT_EQ(http1.words().content, Content::http1);
  EXPECT_EQ(http1.words().name, "a.example");
  EXPECT_TRUE(http1.words().wants_json);
  EXPECT_EQ(read(bytes("GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n")).words().name, "2001:db8::1");

  const WordsReader http2 = read(http::http2_request(http::request_fields("b.example")));
  EXPECT_EQ(http2.words().content, Content::http2);
  EXPECT_EQ(http2.words().name, "b.example");
}

TEST(FirstWords, SettleAsOpaqueAtTheFirstByteThatFitsNothing) {
  WordsReader reader;
  EXPECT_FALSE(reader.feed(bytes("SSH-2.0-OpenSSH_9.2")));
  EXPECT_TRUE(reader.feed(bytes("\r\n")));
  EXPECT_EQ(reader.words().content, Content::opaque);
  WordsReader binary;
  EXPECT_TRUE(binary.feed(bytes("\x01")));
  EXPECT_EQ(binary.words().content, Content::opaque);
}

TEST(FirstWords, KeepWhatIsAmbiguousApart) {
  const WordsReader twice = read(bytes("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"));
  EXPECT_EQ(twice.words().content, Content::http1);
  EXPECT_EQ(twice.words().fault, "more than one Host header");
  const WordsReader blank = read(bytes("\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
  EXPECT_EQ(blank.words().content, Content::http1);
  EXPECT_NE(blank.words().fault, "");
  const WordsReader address = read(TestHello::to("10.0.0.1").encode());
  EXPECT_EQ(address.words().content, Content::tls);
  EXPECT_NE(address.words().fault, "");
  const WordsReader frame = read(http::http2_start() + http::frame(0, 0, 1, {}));
  EXPECT_EQ(frame.words().content, Content::http2);
  EXPECT_NE(frame.words().fault, "");
}

TEST(FirstWords, WaitForTheRestUntilTheyAreGivenUp) {
  WordsReader reader;
  EXPECT_FALSE(reader.feed(bytes("GET / HT")));
  EXPECT_FALSE(reader.waits_for_server());
  reader.give_up();
  EXPECT_EQ(reader.words().content, Content::opaque);
  EXPECT_TRUE(reader.feed(bytes("TP/1.1\r\nHost: a.example\r\n\r\n")));
  EXPECT_EQ(reader.words().content, Content::opaque);

  WordsReader http2;
  EXPECT_FALSE(http2.feed(http::http2_start()));
  EXPECT_TRUE(http2.waits_for_server());
}

TEST(FirstWords, SettleWithinTheirBoundWhateverComes) {
  std::mt19937 random(3);
  const std::vector<wire::HelloBytes> seeds{
      TestHello::to("a.example").encode(9), http::http2_request(http::request_fields("b.example")),
      wire::HelloBytes{'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '/', '1', '.', '1', '\r', '\n'}};
  for (int round = 0; round < 3000; ++round) {
    wire::HelloBytes stream = seeds[random() % seeds.size()];
    stream[random() % stream.size()] = static_cast<std::uint8_t>(random());
    stream.resize(20'000, static_cast<std::uint8_t>(random()));
    WordsReader reader;
    EXPECT_TRUE(reader.feed(stream));
    EXPECT_TRUE(reader.words().fault.empty() || reader.words().name.empty());
  }
}

}  // namespace
}  // namespace microagent::mediator
