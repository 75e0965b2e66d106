// What a swap makes of the flows, requests and records of its host.

#include <algorithm>

#include "credentials/protocol.h"
#include "http/test_http2.h"
#include "http/test_websocket.h"
#include "mediator/test_intercept.h"

namespace microagent::mediator {
namespace {

constexpr std::string_view kSecret = "sk-0123456789abcdef";
constexpr std::string_view kRequest =
    "GET /v1?q=1 HTTP/1.1\r\nHost: good.example\r\nAuthorization: Bearer mine\r\n\r\n";
constexpr std::string_view kEquipped =
    "GET /v1?q=1 HTTP/1.1\r\nHost: good.example\r\nAuthorization: Bearer sk-0123456789abcdef\r\n\r\n";
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

policy::SwapText swap_text(nlohmann::json fields) {
  fields.update({{"type", "static"}, {"domains", {kName}}, {"key_ref", "env:KEY"}});
  return {"test", "--cred-swap", std::move(fields), {}};
}

// In mode broker, and with the process that holds the secrets played by the test.
class SwapTest : public InterceptTest {
 protected:
  SwapTest() {
    config_.egress.mode = policy::Mode::broker;
    give({{"format", "Bearer {key}"}});
    auto ends = socket_pair(SOCK_SEQPACKET);
    process_ = std::move(ends.first);
    credentials_ = std::move(ends.second);
  }

  void give(nlohmann::json fields) { config_.swaps = policy::SwapSet::compile({swap_text(std::move(fields))}).value(); }

  // What the mediator asks the process for.
  std::optional<credentials::Ask> next_ask() {
    std::optional<Bytes> packet;
    EXPECT_TRUE(loop_.until([&] { return (packet = arrived(process_)).has_value(); }));
    return packet ? credentials::parse_ask(*packet) : std::nullopt;
  }
  void tell(const Result<credentials::Credential>& credential) {
    const Secret packet = credentials::encode_answer(0, credential);
    put(process_, bytes(packet.view()));
  }
  static credentials::Credential credential(std::string_view secret, std::uint64_t version = 1,
                                            std::chrono::milliseconds fresh = std::chrono::hours(1)) {
    return {std::make_shared<const Secret>(Secret::of(secret)), version, fresh};
  }

  std::string page_with(std::string_view words) {
    std::string got;
    EXPECT_TRUE(loop_.until([&] { return read_into(*guest_, got) && got.find(words) != std::string::npos; })) << got;
    return got;
  }
  std::string log() { return nlohmann::json(directory_.records()).dump(); }

  Fd process_;
};

TEST_F(SwapTest, PutsTheCredentialIntoEveryRequestOfItsHost) {
  connect({"http/1.1"});
  write(*guest_, kRequest);
  const auto ask = next_ask();
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->swap, 0u);
  EXPECT_EQ(ask->refused, 0u);
  tell(credential(kSecret));
  expect(*upstream_, kEquipped);
  write(*upstream_, kAnswer);
  expect(*guest_, kAnswer);
  write(*guest_, kRequest);
  expect(*upstream_, kEquipped);
  write(*upstream_, "HTTP/1.1 200 OK\r\nX-Echo: sk-0123456789abcdef\r\nContent-Length: 0\r\n\r\n");
  expect(*guest_, "HTTP/1.1 200 OK\r\nX-Echo: *******************\r\nContent-Length: 0\r\n\r\n");
  const auto all = records(5);
  EXPECT_EQ(all[1]["event"], "egress_allow");
  EXPECT_EQ(all[1]["mitm"], true);
  EXPECT_EQ(all[2]["event"], "egress_swap");
  EXPECT_EQ(all[2]["host"], kName);
  EXPECT_EQ(all[2]["swap"], "test");
  EXPECT_EQ(all[2]["type"], "static");
  EXPECT_EQ(all[3]["event"], "egress_request");
  EXPECT_EQ(all[3]["swap"], "test");
  EXPECT_EQ(all[4]["event"], "egress_request");
  EXPECT_EQ(log().find(kSecret), std::string::npos);
}

TEST_F(SwapTest, LeavesEveryOtherHostAlone) {
  nlohmann::json fields = {{"type", "static"}, {"domains", {"other.example"}}, {"key_ref", "env:KEY"}};
  config_.swaps = policy::SwapSet::compile({{"other", "", fields, {}}}).value();
  start();
  begin({"http/1.1"});
  take_splice();
  put(guests_, bytes("as it is"));
  EXPECT_TRUE(loop_.until([&] { return arrived(accepted_) == bytes("as it is"); }));
}

TEST_F(SwapTest, SendsNothingOverPlainHttp) {
  start();
  peeked("127.0.0.1", server_.port());
  accepted_ = server_.accept();
  say("GET / HTTP/1.1\r\nHost: good.example\r\n\r\n");
  bind_name();
  take_splice();
  put(guests_, bytes("GET / HTTP/1.1\r\nHost: good.example\r\n\r\n"));  // which netd has kept
  std::string got;
  ASSERT_TRUE(loop_.until([&] {
    if (const auto some = arrived(guests_)) got.append(some->begin(), some->end());
    return got.find("decision: ") != std::string::npos;
  })) << got;
  EXPECT_TRUE(got.starts_with("HTTP/1.1 403 ")) << got;
  EXPECT_NE(got.find("use https"), std::string::npos) << got;
  EXPECT_EQ(arrived(accepted_), std::nullopt);
  EXPECT_EQ(arrived(process_), std::nullopt);
}

TEST_F(SwapTest, IsChosenByTheNameThatTheUpstreamProved) {
  connect({"http/1.1"});
  write(*guest_, "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n");
  EXPECT_TRUE(page_with("decision: ").starts_with("HTTP/1.1 421 "));
  EXPECT_EQ(arrived(process_), std::nullopt);
}

// Observing denies nothing, but it gives no credential to others either: many hosts may be behind one front.
TEST_F(SwapTest, GivesNoCredentialToAnotherHostThatIsObserved) {
  config_.egress.observe = true;
  connect({"http/1.1"});
  write(*guest_, "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n");
  EXPECT_TRUE(page_with("decision: ").starts_with("HTTP/1.1 421 "));
  EXPECT_EQ(arrived(process_), std::nullopt);
}

TEST_F(SwapTest, SaysWhatKeepsTheCredential) {
  connect({"http/1.1"});
  write(*guest_, kRequest);
  ASSERT_TRUE(next_ask());
  tell(fail(ErrorKind::not_found, "the variable KEY was not set"));
  const std::string page = page_with("credential swap test: its credential cannot be had");
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ")) << page;
  EXPECT_EQ(page.find("KEY"), std::string::npos) << page;  // what the user's things are called
  const auto all = records(4);
  EXPECT_EQ(all[2]["event"], "egress_swap_error");
  EXPECT_EQ(all[2]["swap"], "test");
  EXPECT_EQ(all[2]["error"], "the variable KEY was not set");
  EXPECT_EQ(all[2]["signal"], "unresolved-secret-ref");
  EXPECT_EQ(all[3]["status"], 502);
  // Asked anew, since it may be there by now.
  write(*guest_, kRequest);
  ASSERT_TRUE(next_ask());
  tell(credential(kSecret));
  expect(*upstream_, kEquipped);
}

TEST_F(SwapTest, HasARefusedCredentialLookedAtAgain) {
  connect({"http/1.1"});
  write(*guest_, kRequest);
  ASSERT_TRUE(next_ask());
  tell(credential("sk-old-and-revoked", 7));
  std::string got;
  loop_.until([&] { return read_into(*upstream_, got) && got.ends_with("\r\n\r\n"); });
  write(*upstream_, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  expect(*guest_, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  write(*guest_, kRequest);
  const auto ask = next_ask();
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->refused, 7u);
  tell(credential(kSecret, 8));
  expect(*upstream_, kEquipped);
  // The one before is as secret.
  write(*upstream_, "HTTP/1.1 200 OK\r\nX: sk-old-and-revoked\r\nContent-Length: 0\r\n\r\n");
  expect(*guest_, "HTTP/1.1 200 OK\r\nX: ******************\r\nContent-Length: 0\r\n\r\n");
}

// The guest leaves while its request waits, and asks again when the credential has come.
TEST_F(SwapTest, LooksForWhatAGuestThatLeftWasToGet) {
  connect({"http/1.1"});
  write(*guest_, kRequest);
  ASSERT_TRUE(next_ask());
  break_off();
  records(4);
  tell(credential(kSecret));
  connect_again({"http/1.1"});
  write(*guest_, kRequest);
  expect(*upstream_, kEquipped);
  write(*upstream_, "HTTP/1.1 200 OK\r\nX-Echo: sk-0123456789abcdef\r\nContent-Length: 0\r\n\r\n");
  expect(*guest_, "HTTP/1.1 200 OK\r\nX-Echo: *******************\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(SwapTest, EndsNothingElseWhenTheProcessEnds) {
  connect({"http/1.1"});
  process_.reset();
  write(*guest_, kRequest);
  EXPECT_TRUE(page_with("cannot be had").starts_with("HTTP/1.1 502 "));
  EXPECT_NE(log().find("has ended"), std::string::npos);
  EXPECT_EQ(refusal_of(Protocol::tcp, "192.168.64.1", 9), Refusal::reset);  // others are judged as before
}

TEST_F(SwapTest, NeedsNoCredentialWhereNoPlaceholderStands) {
  give({{"placeholder", "PLACEHOLDER"}});
  connect({"http/1.1"});
  const std::string bare = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
  write(*guest_, bare);
  expect(*upstream_, bare);
  write(*upstream_, kAnswer);
  expect(*guest_, kAnswer);
  write(*guest_, "GET / HTTP/1.1\r\nHost: good.example\r\nX-Key: PLACEHOLDER\r\n\r\n");
  ASSERT_TRUE(next_ask());
  tell(credential(kSecret));
  expect(*upstream_, "GET / HTTP/1.1\r\nHost: good.example\r\nX-Key: sk-0123456789abcdef\r\n\r\n");
}

TEST_F(SwapTest, ReplacesWithinBodiesOfTextWhereItIsTold) {
  give({{"placeholder", "PLACEHOLDER"}, {"inBody", "true"}});
  connect({"http/1.1"});
  const std::string head = "POST / HTTP/1.1\r\nHost: good.example\r\nContent-Type: application/json\r\n";
  write(*guest_, head + "Content-Length: 19\r\n\r\n{\"a\":\"PLACEHOLDER\"}");
  ASSERT_TRUE(next_ask());
  tell(credential("sk-\"0123456789"));
  expect(*upstream_, head + "Content-Length: 23\r\n\r\n{\"a\":\"sk-\\\"0123456789\"}");
  write(*upstream_, kAnswer);
  expect(*guest_, kAnswer);
  const std::string binary = "POST / HTTP/1.1\r\nHost: good.example\r\nContent-Length: 11\r\n\r\nPLACEHOLDER";
  write(*guest_, binary);
  expect(*upstream_, binary);
  write(*upstream_, kAnswer);
  expect(*guest_, kAnswer);
  const auto all = records(5);
  EXPECT_EQ(all[3]["swap"], "test");
  EXPECT_FALSE(all[4].contains("swap"));
}

TEST_F(SwapTest, EquipsAnUpgrade) {
  connect({"http/1.1"});
  const std::string upgrade =
      "GET /v1?q=1 HTTP/1.1\r\nHost: good.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  write(*guest_, upgrade + "\r\n");
  ASSERT_TRUE(next_ask());
  tell(credential(kSecret));
  expect(*upstream_, upgrade + "Authorization: Bearer sk-0123456789abcdef\r\n\r\n");
  const std::string answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
  const std::string stars(kSecret.size(), '*');
  write(*upstream_, answer + http::websocket_frame(0x81, kSecret));
  expect(*guest_, answer + http::websocket_frame(0x81, stars));
}

TEST_F(SwapTest, EquipsAStreamOfHttp2) {
  connect({"h2"});
  const http::Http2Bytes request = http::http2_request(
      {{":method", "GET"}, {":scheme", "https"}, {":authority", kName}, {":path", "/"}, {"authorization", "mine"}});
  EXPECT_EQ(guest_->write(request).value_or(0), request.size());
  ASSERT_TRUE(next_ask());
  tell(credential(kSecret));
  // Never indexed, and so in plain sight but for its Huffman code; the record says that it went.
  const auto all = records(3);
  EXPECT_EQ(all[2]["event"], "egress_swap");
}

// Its requests go over connections of their own.
TEST_F(SwapTest, IsRecordedOnceForATranslatedFlow) {
  start();
  begin({"h2"});
  upstream_context_ = tls::testing::make_server(good_, {.chooses_protocol = false});
  serve(upstream_context_.get());
  take_splice();
  ASSERT_TRUE(shake_hands());
  const auto ask = [&](std::uint32_t stream) {
    constexpr std::uint8_t kWhole = 0x5;
    const http::Http2Bytes bytes = http::frame(
        NGHTTP2_HEADERS, kWhole, stream,
        http::header_block({{":method", "GET"}, {":scheme", "https"}, {":authority", kName}, {":path", "/"}}));
    EXPECT_EQ(guest_->write(bytes).value_or(0), bytes.size());
  };
  const auto expect_equipped = [&] {
    std::string got;
    EXPECT_TRUE(loop_.until([&] { return read_into(*upstream_, got) && got.find(kSecret) != got.npos; })) << got;
  };
  const http::Http2Bytes begin = http::http2_start();
  EXPECT_EQ(guest_->write(begin).value_or(0), begin.size());
  ask(1);
  ASSERT_TRUE(next_ask());
  tell(credential(kSecret));
  expect_equipped();
  const Fd first = std::move(accepted_);
  const auto first_upstream = std::move(upstream_);
  ask(3);
  ASSERT_TRUE(loop_.until([&] { return static_cast<bool>(accepted_ = server_.accept()); }));
  serve(upstream_context_.get());
  expect_equipped();
  const auto all = directory_.records();
  EXPECT_EQ(std::ranges::count(all, "egress_swap", [](const auto& record) { return record.at("event"); }), 1);
}

// The credential changes while a body is gathered.
TEST_F(SwapTest, PutsTheSameCredentialIntoHeadAndBody) {
  give({{"placeholder", "PLACEHOLDER"}, {"inBody", "true"}});
  connect({"h2"});
  const auto begin = [](std::uint32_t stream) {
    constexpr std::uint8_t kEndHeaders = 0x4;
    return http::frame(NGHTTP2_HEADERS, kEndHeaders, stream,
                       http::header_block({{":method", "POST"},
                                           {":scheme", "https"},
                                           {":authority", kName},
                                           {":path", "/"},
                                           {"content-type", "text/plain"},
                                           {"x-key", "PLACEHOLDER"}}));
  };
  const auto body = [](std::uint32_t stream) {
    constexpr std::uint8_t kEndStream = 0x1;
    const std::string_view text = "<PLACEHOLDER>";
    return http::frame(NGHTTP2_DATA, kEndStream, stream, http::Http2Bytes(text.begin(), text.end()));
  };
  const auto say = [&](const http::Http2Bytes& bytes) { EXPECT_EQ(guest_->write(bytes).value_or(0), bytes.size()); };
  say(http::http2_start());
  say(begin(1));
  ASSERT_TRUE(next_ask());
  tell(credential("sk-the-first-one", 1, std::chrono::milliseconds(0)));
  ASSERT_EQ(records(3)[2]["event"], "egress_swap");
  say(begin(3));
  say(body(3));
  ASSERT_TRUE(next_ask());
  tell(credential("sk-the-second-one", 2, std::chrono::hours(1)));
  std::string got;
  ASSERT_TRUE(loop_.until([&] { return read_into(*upstream_, got) && got.find("<sk-the-second-one>") != got.npos; }));
  say(body(1));
  EXPECT_TRUE(loop_.until([&] { return read_into(*upstream_, got) && got.find("<sk-the-first-one>") != got.npos; }));
}

// Of a client's bytes in HTTP/2 (RFC 9113, 3.4 and 4.1).
std::size_t requests_in(std::string_view bytes) {
  constexpr std::size_t kPreface = 24, kFrameHeader = 9;
  std::size_t count = 0;
  for (std::size_t at = kPreface; at + kFrameHeader <= bytes.size();) {
    const auto byte = [&](std::size_t i) { return std::size_t{static_cast<std::uint8_t>(bytes[at + i])}; };
    if (byte(3) == NGHTTP2_HEADERS) ++count;
    at += kFrameHeader + (byte(0) << 16 | byte(1) << 8 | byte(2));
  }
  return count;
}

// Every request gets a newer credential, and the first one is answered last.
TEST_F(SwapTest, MasksTheCredentialOfARequestThatWaitedLonger) {
  connect({"h2"});
  const auto ask = [&](std::uint32_t stream) {
    constexpr std::uint8_t kWhole = 0x5;
    return http::frame(
        NGHTTP2_HEADERS, kWhole, stream,
        http::header_block({{":method", "GET"}, {":scheme", "https"}, {":authority", kName}, {":path", "/"}}));
  };
  const http::Http2Bytes begin = http::http2_start();
  ASSERT_EQ(guest_->write(begin).value_or(0), begin.size());
  const std::vector<std::string> secrets{"sk-the-first-one", "sk-the-second-one", "sk-the-third-one"};
  std::string got;
  for (std::uint32_t i = 0; i < secrets.size(); ++i) {
    const http::Http2Bytes bytes = ask(2 * i + 1);
    ASSERT_EQ(guest_->write(bytes).value_or(0), bytes.size());
    ASSERT_TRUE(next_ask());
    tell(credential(secrets[i], i + 1, std::chrono::milliseconds(0)));
    ASSERT_TRUE(loop_.until([&] { return read_into(*upstream_, got) && requests_in(got) == i + 1; }));
  }
  constexpr std::uint8_t kEndHeaders = 0x4, kEndStream = 0x1;
  const std::string all = "<" + secrets[0] + " " + secrets[1] + " " + secrets[2] + ">";
  for (const http::Http2Bytes& bytes :
       {http::frame(NGHTTP2_SETTINGS, 0, 0, {}),
        http::frame(NGHTTP2_HEADERS, kEndHeaders, 1, http::header_block({{":status", "200"}})),
        http::frame(NGHTTP2_DATA, kEndStream, 1, http::Http2Bytes(all.begin(), all.end()))}) {
    ASSERT_EQ(upstream_->write(bytes).value_or(0), bytes.size());
  }
  std::string seen;
  ASSERT_TRUE(loop_.until([&] { return read_into(*guest_, seen) && seen.find('>') != seen.npos; }));
  EXPECT_NE(seen.find("<**************** ***************** ****************>"), seen.npos);
}

TEST_F(SwapTest, GivesNothingToANameThatIsNotBound) {
  config_.egress.mode = policy::Mode::mitm;
  start();
  peeked("127.0.0.1", server_.port());
  accepted_ = server_.accept();
  alpn_ = {"http/1.1"};
  wire::TestHello hello = wire::TestHello::to(kName);
  hello.with(kAlpn, wire::protocol_list({"http/1.1"}));
  say(hello.encode());
  InterceptTest::bind_name({192, 0, 2, 1});
  upstream_context_ = tls::testing::make_server(good_);
  serve(upstream_context_.get());
  take_splice();
  ASSERT_TRUE(shake_hands());
  write(*guest_, kRequest);
  expect(*upstream_, kRequest);
  EXPECT_EQ(arrived(process_), std::nullopt);
}

}  // namespace
}  // namespace microagent::mediator
