// Both relays between a guest without a secret and an upstream that shows it.

#include "http/secret_placement.h"
#include "http/test_packed.h"
#include "http/test_websocket.h"
#include "mediator/test_http2_relay.h"

namespace microagent::mediator {
namespace {

constexpr std::string_view kSecret = "sk-0123456789abcdef";
const std::string kStars(kSecret.size(), http::kMaskCharacter);

// Has a credential that may have to be waited for, and may fail.
class SwapGate final : public TestGate {
 public:
  bool lacks_credential(const http::RequestMessage&) override { return !is_here; }
  asio::awaitable<void> obtain_credential() override {
    ++asked;
    asio::steady_timer door(co_await asio::this_coro::executor);
    while (!is_here) {
      door.expires_after(std::chrono::milliseconds(1));
      co_await door.async_wait(kAsTuple);
    }
  }
  std::optional<Refused> equip(http::RequestMessage& request, RequestStory& story) override {
    if (fails) return Refused{502, "no credential", "no credential\n"};
    request.headers.push_back({"x-key", std::string(kSecret), true});
    story.swap = "test";
    return std::nullopt;
  }
  http::SecretFormsPtr secrets(const RequestStory&) override { return forms_; }

  bool rewrites_body(const http::RequestMessage&) override { return rewrites; }
  BodyVerdict rewrite_body(const http::RequestMessage&, std::string_view body, bool whole, RequestStory&) override {
    auto replaced = http::replace_in_body(http::TextKind::plain, body, "PLACEHOLDER", kSecret);
    if (body.find("PLACEHOLDER") == body.npos) return {};
    if (!whole || !replaced) return {{}, Refused{413, "too long", "too long\n"}};
    return {std::move(replaced), {}};
  }

  bool is_here = true, fails = false, rewrites = false;
  int asked = 0;

 private:
  http::SecretFormsPtr forms_ =
      std::make_shared<const http::SecretForms>(std::vector<std::string>{std::string(kSecret)});
};

std::string gzip(std::string_view text) { return http::zlib_packed(text, MAX_WBITS + 16); }

// What does not compress, and holds no secret.
std::string noise(std::size_t size) {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < size) text.push_back(static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  return text;
}

class Http1SwapTest : public RelayTest {
 protected:
  Http1SwapTest() : RelayTest(std::make_unique<SwapGate>()) { start(relay_http1); }
  SwapGate& swap() { return static_cast<SwapGate&>(gate_); }

  void ask() {
    say(guest_, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    expect(upstream_, "GET / HTTP/1.1\r\nHost: a.example\r\nx-key: " + std::string(kSecret) + "\r\n\r\n");
  }
  // The guest's answer when the upstream has given its own.
  void expect_for(const std::string& given, const std::string& got) {
    ask();
    say(upstream_, given);
    expect(guest_, got);
  }
};

TEST_F(Http1SwapTest, EquipsEveryRequest) {
  for (int i = 0; i < 3; ++i) {
    expect_for("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
  EXPECT_EQ(gate_.stories.at(0).swap, "test");
  EXPECT_EQ(swap().asked, 0);
}

TEST_F(Http1SwapTest, WaitsForTheCredential) {
  swap().is_here = false;
  say(guest_, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
  expect_nothing(upstream_);
  swap().is_here = true;
  expect(upstream_, "GET / HTTP/1.1\r\nHost: a.example\r\nx-key: " + std::string(kSecret) + "\r\n\r\n");
  EXPECT_EQ(swap().asked, 1);
}

TEST_F(Http1SwapTest, SendsNothingOnWithoutIt) {
  swap().fails = true;
  say(guest_, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
  std::string answer;
  loop_.until([&] {
    if (const auto some = arrived(guest_)) answer.append(some->begin(), some->end());
    return answer.ends_with("no credential\n");
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 ")) << answer;
  expect_nothing(upstream_);
  EXPECT_EQ(gate_.stories.at(0).status, 502);
  swap().fails = false;  // and the connection goes on
  ask();
}

TEST_F(Http1SwapTest, MasksHeadersBodiesAndTrailers) {
  const std::string secret(kSecret);
  expect_for(
      "HTTP/1.1 200 " + secret + "\r\nX-Echo: Bearer " + secret + "\r\nContent-Length: 21\r\n\r\n<" + secret +
          ">HTTP/1.1 ",
      "HTTP/1.1 200 " + kStars + "\r\nX-Echo: Bearer " + kStars + "\r\nContent-Length: 21\r\n\r\n<" + kStars + ">");
}

TEST_F(Http1SwapTest, MasksAcrossChunksAndTheirTrailers) {
  const std::string secret(kSecret);
  ask();
  say(upstream_, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nsk-01\r\nf\r\n" + secret.substr(5) +
                     "!\r\n0\r\nX-T: " + secret + "\r\n\r\n");
  expect(guest_, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + kStars + "!\r\n0\r\nX-T: " + kStars +
                     "\r\n\r\n");
  ask();
}

TEST_F(Http1SwapTest, LetsWhatStreamsThroughAtOnce) {
  ask();
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  say(upstream_, head);
  expect(guest_, head);
  for (int i = 0; i < 3; ++i) {
    say(upstream_, "7\r\ndata: s\r\n");  // as the secret begins
    expect(guest_, "7\r\ndata: s\r\n");
  }
}

const std::string kUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

class Http1WebSocketTest : public Http1SwapTest {
 protected:
  Http1WebSocketTest() {
    say(guest_, "GET / HTTP/1.1\r\nHost: a.example\r\n" + kUpgrade + "\r\n");
    expect(upstream_,
           "GET / HTTP/1.1\r\nHost: a.example\r\n" + kUpgrade + "x-key: " + std::string(kSecret) + "\r\n\r\n");
  }
};

TEST_F(Http1WebSocketTest, IsLookedThrough) {
  say(upstream_, "HTTP/1.1 101 Switching Protocols\r\n" + kUpgrade + "\r\n" + http::websocket_frame(0x81, kSecret));
  expect(guest_, "HTTP/1.1 101 Switching Protocols\r\n" + kUpgrade + "\r\n" + http::websocket_frame(0x81, kStars));
  say(guest_, "from the guest");
  expect(upstream_, "from the guest");
  say(upstream_, http::websocket_frame(0x81, "sk-01"));
  expect(guest_, http::websocket_frame(0x81, "sk-01"));
  upstream_.reset();
  expect_end(guest_);
  guest_.reset();
  ASSERT_TRUE(loop_.until([&] { return done_; }));
  EXPECT_EQ(gate_.stories.at(0).status, 101);
  EXPECT_EQ(gate_.stories.at(0).error, "");
}

TEST_F(Http1WebSocketTest, EndsWithAFrameThatCannotBe) {
  say(upstream_, "HTTP/1.1 101 Switching Protocols\r\n" + kUpgrade + "\r\n" + http::websocket_frame(0x81, "one") +
                     http::websocket_frame(0xc1, "packed"));
  EXPECT_EQ(until_end(guest_),
            "HTTP/1.1 101 Switching Protocols\r\n" + kUpgrade + "\r\n" + http::websocket_frame(0x81, "one"));
  EXPECT_NE(gate_.stories.at(0).error.find("extension"), std::string::npos);
}

TEST_F(Http1WebSocketTest, IsNoneWithoutMemory) {
  swap().memory = 1;
  say(upstream_, "HTTP/1.1 101 Switching Protocols\r\n" + kUpgrade + "\r\n");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(gate_.stories.at(0).status, 503);
}

TEST_F(Http1SwapTest, PassesACompressedBodyByteForByte) {
  const std::string body = gzip("hello " + std::string(1000, 'a'));
  const std::string whole =
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  expect_for(whole, whole);
}

TEST_F(Http1SwapTest, DecodesACompressedBodyThatShowsTheSecret) {
  const std::string body = gzip("<" + std::string(kSecret) + ">");
  expect_for("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: 1\r\nContent-Length: " + std::to_string(body.size()) +
                 "\r\n\r\n" + body,
             "HTTP/1.1 200 OK\r\nETag: 1\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n<" + kStars + ">\r\n0\r\n\r\n");
  ask();
}

TEST_F(Http1SwapTest, EndsACompressedBodyThatShowsTheSecretLate) {
  const std::string body = gzip(noise(300'000) + std::string(kSecret));
  ask();
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(body.size()) +
                     "\r\n\r\n" + body.substr(0, 100'000));
  std::string got;
  loop_.until([&] {
    if (const auto some = arrived(guest_)) got.append(some->begin(), some->end());
    return got.size() > 90'000;
  });
  say(upstream_, body.substr(100'000));
  got += until_end(guest_);
  EXPECT_LT(got.size(), body.size());
  EXPECT_NE(gate_.stories.at(0).error.find("sent the credential back"), std::string::npos);
}

TEST_F(Http1SwapTest, AnswersForABodyThatThereIsNoMemoryFor) {
  swap().memory = 1;
  ask();
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(gate_.stories.at(0).status, 503);
}

TEST_F(Http1SwapTest, GathersNoBodyThatThereIsNoMemoryFor) {
  swap().memory = 1;
  swap().rewrites = true;
  say(guest_, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(until_end(upstream_), "");
}

TEST_F(Http1SwapTest, AnswersForABodyThatCannotBeLookedThrough) {
  ask();
  say(upstream_, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\n\xff\xff\xff\xff\xff");
  EXPECT_TRUE(until_end(guest_).starts_with("HTTP/1.1 502 "));
}

TEST_F(Http1SwapTest, ReplacesWithinABodyAndMendsItsLength) {
  swap().rewrites = true;
  const std::string key = "x-key: " + std::string(kSecret) + "\r\n\r\n";
  say(guest_, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 13\r\n\r\n<PLACE");
  expect_nothing(upstream_);
  say(guest_, "HOLDER>");
  expect(upstream_,
         "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 21\r\n" + key + "<" + std::string(kSecret) + ">");
  say(upstream_, "HTTP/1.1 204 No Content\r\n\r\n");
  expect(guest_, "HTTP/1.1 204 No Content\r\n\r\n");
  say(guest_,
      "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nPLACE\r\n6\r\nHOLDER\r\n0\r\nX-T: 1\r\n\r\n");
  expect(upstream_, "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n" + key + "13\r\n" +
                        std::string(kSecret) + "\r\n0\r\nX-T: 1\r\n\r\n");
}

TEST_F(Http1SwapTest, KeepsABodyAsItIsWhereNothingIsToBeReplaced) {
  swap().rewrites = true;
  const std::string line = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n";
  const std::string body = "1;a=b\r\nx\r\n2\r\nyz\r\n0\r\n\r\n";
  say(guest_, line + "\r\n" + body);
  expect(upstream_, line + "x-key: " + std::string(kSecret) + "\r\n\r\n" + body);
}

TEST_F(Http1SwapTest, AsksForTheBodyItselfWhereTheGuestWaits) {
  swap().rewrites = true;
  say(guest_, "POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  expect(guest_, "HTTP/1.1 100 Continue\r\n\r\n");
  say(guest_, "x");
  expect(upstream_,
         "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nx-key: " + std::string(kSecret) + "\r\n\r\nx");
}

class LongBody : public Http1SwapTest, public testing::WithParamInterface<bool> {};

TEST_P(LongBody, GoesOnAsItIsUnlessItHasWhatIsToBeReplaced) {
  swap().rewrites = true;
  const std::string begin = GetParam() ? "PLACEHOLDER" : "PLACEHOLDE_";
  const std::string body = begin + std::string(2'000'000, 'x');
  const std::string all =
      "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  std::size_t sent = 0;
  std::string served, answer;
  ASSERT_TRUE(loop_.until([&] {
    const ssize_t count = ::send(guest_.get(), all.data() + sent, all.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) sent += static_cast<std::size_t>(count);
    if (const auto some = arrived(upstream_)) served.append(some->begin(), some->end());
    if (const auto some = arrived(guest_)) answer.append(some->begin(), some->end());
    return GetParam() ? answer.ends_with("too long\n") : served.ends_with(body);
  }));
  EXPECT_EQ(served.empty(), GetParam());
  EXPECT_EQ(answer.starts_with("HTTP/1.1 413 "), GetParam());
}

INSTANTIATE_TEST_SUITE_P(BothWays, LongBody, testing::Bool());

class Http2SwapTest : public Http2RelayTest {
 protected:
  Http2SwapTest() : Http2RelayTest(std::make_unique<SwapGate>()) {}
  SwapGate& swap() { return static_cast<SwapGate&>(gate_); }

  // The guest's stream of a request that was answered so.
  const Peer::Seen& seen_for(const HeaderList& head, std::string_view body, const HeaderList& trailers = {}) {
    const StreamId asked = ask(request("/"));
    const StreamId served = next_request(server_.last);
    EXPECT_TRUE(server_.session.submit_response(served, head, false));
    EXPECT_TRUE(server_.session.send_data(served, text_bytes(body), trailers.empty()));
    if (!trailers.empty()) EXPECT_TRUE(server_.session.send_trailers(served, trailers));
    EXPECT_TRUE(until([&] { return client_.seen[asked].closed; }));
    return client_.seen[asked];
  }
};

TEST_F(Http2SwapTest, EquipsEveryRequest) {
  ask(request("/a"));
  const StreamId served = next_request();
  EXPECT_EQ(header_value(server_.seen[served].fields, "x-key"), kSecret);
  EXPECT_TRUE(find_header(server_.seen[served].fields, "x-key")->never_index);
}

TEST_F(Http2SwapTest, ManyRequestsWaitForOneCredential) {
  swap().is_here = false;
  for (int i = 0; i < 20; ++i) ask(request("/" + std::to_string(i)));
  int turns = 0;
  until([&] { return ++turns == 20; });
  EXPECT_EQ(server_.seen.size(), 0u);
  swap().is_here = true;
  EXPECT_TRUE(until([&] { return server_.seen.size() == 20; }));
  EXPECT_EQ(swap().asked, 1);
}

TEST_F(Http2SwapTest, SendsNothingOnWithoutIt) {
  swap().fails = true;
  const StreamId asked = ask(request("/"));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "502");
  EXPECT_EQ(client_.seen[asked].data, "no credential\n");
  EXPECT_EQ(server_.seen.size(), 0u);
  EXPECT_EQ(gate_.stories.at(0).status, 502);
}

TEST_F(Http2SwapTest, MasksHeadersBodiesAndTrailers) {
  const std::string secret(kSecret);
  const auto& seen = seen_for({{":status", "200"}, {"x-echo", secret}}, "<" + secret + ">sk-0123", {{"x-t", secret}});
  EXPECT_EQ(header_value(seen.fields, "x-echo"), kStars);
  EXPECT_EQ(seen.data, "<" + kStars + ">sk-0123");
  EXPECT_EQ(header_value(seen.trailers, "x-t"), kStars);
}

TEST_F(Http2SwapTest, MasksASecretInPieces) {
  const StreamId asked = ask(request("/"));
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  for (std::size_t at = 0; at < kSecret.size(); at += 7) {
    ASSERT_TRUE(server_.session.send_data(served, text_bytes(kSecret.substr(at, 7)), false));
    int turns = 0;
    until([&] { return ++turns == 3; });
  }
  ASSERT_TRUE(server_.session.send_data(served, {}, true));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(client_.seen[asked].data, kStars);
}

class Http2WebSocketTest : public Http2SwapTest {
 protected:
  Http2WebSocketTest() {
    EXPECT_TRUE(until([&] { return client_.session.peer_takes_connect_protocol(); }));
    asked_ = ask({{":method", "CONNECT"},
                  {":protocol", "websocket"},
                  {":scheme", "https"},
                  {":authority", "a.example"},
                  {":path", "/"}},
                 false);
    served_ = next_request();
  }
  void answer(std::string_view status, std::string_view bytes, bool end = false) {
    ASSERT_TRUE(server_.session.submit_response(served_, {{":status", std::string(status)}}, false));
    ASSERT_TRUE(server_.session.send_data(served_, text_bytes(bytes), end));
  }

  StreamId asked_ = 0, served_ = 0;
};

TEST_F(Http2WebSocketTest, IsLookedThrough) {
  const std::string cut(kSecret.substr(0, 9)), rest(kSecret.substr(9));
  answer("200", http::websocket_frame(0x81, kSecret) + http::websocket_frame(0x01, cut));
  const std::string first = http::websocket_frame(0x81, kStars);
  auto& seen = client_.seen[asked_];
  ASSERT_TRUE(until([&] { return seen.data.size() >= first.size(); }));
  ASSERT_TRUE(server_.session.send_data(served_, text_bytes(http::websocket_frame(0x80, rest)), false));
  const std::string whole = first + http::websocket_frame(0x81, kStars);
  ASSERT_TRUE(until([&] { return seen.data.size() >= whole.size(); }));
  EXPECT_EQ(seen.data, whole);
}

// More than both windows, and all of them are given back.
TEST_F(Http2WebSocketTest, MayBringAnyNumberOfMessages) {
  const std::string message = http::websocket_frame(0x82, noise(300'000));
  answer("200", "");
  std::size_t sent = 0, got = 0;
  auto& seen = client_.seen[asked_];
  ASSERT_TRUE(until([&] {
    if (sent < 30 && server_.session.queued(served_) == 0) {
      EXPECT_TRUE(server_.session.send_data(served_, text_bytes(message), ++sent == 30));
    }
    got += std::exchange(seen.data, {}).size();
    return seen.ended;
  }));
  EXPECT_EQ(got, 30 * message.size());
}

TEST_F(Http2WebSocketTest, EndsWithAFrameThatCannotBe) {
  answer("200", http::websocket_frame(0xc1, "packed"));
  ASSERT_TRUE(until([&] { return client_.seen[asked_].closed && !gate_.stories.empty(); }));
  EXPECT_TRUE(client_.seen[asked_].reset);
  EXPECT_NE(gate_.stories.at(0).error.find("extension"), std::string::npos);
}

TEST_F(Http2WebSocketTest, IsAnOrdinaryBodyWhereItIsRefused) {
  answer("403", "not with " + std::string(kSecret), true);
  ASSERT_TRUE(until([&] { return client_.seen[asked_].ended; }));
  EXPECT_EQ(client_.seen[asked_].data, "not with " + kStars);
}

TEST_F(Http2SwapTest, PassesACompressedBodyByteForByte) {
  const std::string body = gzip(noise(200'000));
  const auto& seen = seen_for({{":status", "200"}, {"content-encoding", "gzip"}}, body);
  EXPECT_EQ(seen.data, body);
  EXPECT_EQ(header_value(seen.fields, "content-encoding"), "gzip");
}

TEST_F(Http2SwapTest, DecodesACompressedBodyThatShowsTheSecret) {
  const std::string text(100'000, 'a');
  const std::string body = gzip(std::string(kSecret) + text);
  const auto& seen = seen_for(
      {{":status", "200"}, {"content-encoding", "gzip"}, {"content-length", std::to_string(body.size())}}, body);
  EXPECT_EQ(seen.data, kStars + text);
  EXPECT_EQ(find_header(seen.fields, "content-encoding"), nullptr);
  EXPECT_EQ(find_header(seen.fields, "content-length"), nullptr);
}

TEST_F(Http2SwapTest, EndsACompressedBodyThatShowsTheSecretLate) {
  const std::string body = gzip(noise(300'000) + std::string(kSecret));
  const auto& seen = seen_for({{":status", "200"}, {"content-encoding", "gzip"}}, body);
  EXPECT_TRUE(seen.reset);
  EXPECT_LT(seen.data.size(), body.size());
  EXPECT_NE(gate_.stories.at(0).error.find("sent the credential back"), std::string::npos);
}

TEST_F(Http2SwapTest, StopsADecodedBodyThatGrowsFasterThanItIsRead) {
  client_.consumes = false;
  const std::string body = gzip(std::string(kSecret) + std::string(8'000'000, 'a'));
  const auto& seen = seen_for({{":status", "200"}, {"content-encoding", "gzip"}}, body);
  EXPECT_TRUE(seen.reset || seen.ended);
  EXPECT_LT(seen.data.size(), 2'000'000u);
}

TEST_F(Http2SwapTest, ReplacesWithinABodyAndMendsItsLength) {
  swap().rewrites = true;
  HeaderList head = request("/", "POST");
  head.push_back({"content-length", "13"});
  const StreamId asked = ask(head, false);
  ASSERT_TRUE(client_.session.send_data(asked, text_bytes("<PLACE"), false));
  int turns = 0;
  until([&] { return ++turns == 10; });
  EXPECT_EQ(server_.seen.size(), 0u);
  ASSERT_TRUE(client_.session.send_data(asked, text_bytes("HOLDER>"), true));
  const StreamId served = next_request();
  ASSERT_TRUE(until([&] { return server_.seen[served].ended; }));
  EXPECT_EQ(server_.seen[served].data, "<" + std::string(kSecret) + ">");
  EXPECT_EQ(header_value(server_.seen[served].fields, "content-length"), "21");
}

// What is too long for that goes on as it is, and nothing of it is lost or held back.
TEST_F(Http2SwapTest, PassesALongBodyAsItIs) {
  swap().rewrites = true;
  const std::string body(3'000'000, 'x');
  const StreamId asked = ask(request("/", "POST"), false);
  std::size_t sent = 0;
  ASSERT_TRUE(until([&] {
    const std::size_t count = std::min<std::size_t>(body.size() - sent, 100'000);
    if (count > 0 &&
        client_.session.send_data(asked, text_bytes(body).subspan(sent, count), sent + count == body.size())) {
      sent += count;
    }
    return server_.last != 0 && server_.seen[server_.last].ended;
  }));
  EXPECT_EQ(server_.seen[server_.last].data, body);
}

TEST_F(Http2SwapTest, RefusesALongBodyThatHasWhatIsToBeReplaced) {
  swap().rewrites = true;
  const StreamId asked = ask(request("/", "POST"), false);
  ASSERT_TRUE(client_.session.send_data(asked, text_bytes("PLACEHOLDER" + std::string(1'100'000, 'x')), false));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "413");
  EXPECT_EQ(server_.seen.size(), 0u);
}

TEST_F(Http2SwapTest, AnswersForBodiesThatThereIsNoMemoryFor) {
  swap().memory = 1;
  const StreamId asked = ask(request("/a"));
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(server_.session.send_data(served, text_bytes("ok"), true));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "503");
  swap().rewrites = true;
  const StreamId gathered = ask(request("/b", "POST"), false);
  ASSERT_TRUE(client_.session.send_data(gathered, text_bytes("ab"), true));
  ASSERT_TRUE(until([&] { return client_.seen[gathered].closed; }));
  EXPECT_EQ(status(gathered), "503");
  EXPECT_EQ(server_.seen.size(), 1u);
}

TEST_F(Http2SwapTest, AnswersForABodyThatCannotBeLookedThrough) {
  const StreamId asked = ask(request("/"));
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}, {"content-encoding", "br"}}, false));
  ASSERT_TRUE(server_.session.send_data(served, text_bytes("\xff\xff\xff\xff"), true));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "502");
}

}  // namespace
}  // namespace microagent::mediator
