#include "http/http2_session.h"

#include <gtest/gtest.h>

#include <map>

#include "http/test_http2.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

using Role = Http2Session::Role;
constexpr std::uint64_t kNow = 1'000'000'000, kSecond = 1'000'000'000;

struct Side final : Http2Events {
  explicit Side(Role role, const Http2Limits& limits = {}, bool connect = false)
      : session({role, connect, limits}, *this) {}

  void on_headers(StreamId stream, HeaderList fields, bool end) override {
    log.push_back("headers " + std::to_string(stream) + (end ? " end" : ""));
    headers[stream] = std::move(fields);
    if (end) ended.push_back(stream);
  }
  void on_informational(StreamId stream, HeaderList fields) override {
    log.push_back("informational " + std::to_string(stream) + " " + std::string(header_value(fields, ":status")));
  }
  void on_data(StreamId stream, ByteView bytes, bool end) override {
    data[stream].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (consumes) session.consume(stream, bytes.size());
    if (end) log.push_back("end " + std::to_string(stream));
    if (end) ended.push_back(stream);
  }
  void on_trailers(StreamId stream, HeaderList fields) override {
    log.push_back("trailers " + std::to_string(stream));
    trailers[stream] = std::move(fields);
    ended.push_back(stream);
  }
  void on_sent(StreamId stream, std::size_t bytes) override {
    sent[stream] += bytes;
    sent_order.push_back(stream);
  }
  void on_reset(StreamId stream, Http2Error error) override {
    log.push_back("reset " + std::to_string(stream) + " " + std::string(to_string(error)));
  }
  void on_closed(StreamId stream) override {
    EXPECT_TRUE(closed.emplace(stream, true).second) << stream;
    log.push_back("closed " + std::to_string(stream));
  }
  void on_goaway(StreamId last, Http2Error error) override {
    log.push_back("goaway " + std::to_string(last) + " " + std::string(to_string(error)));
  }
  void on_settings() override { ++settings; }
  void on_pong(std::uint64_t token) override { log.push_back("pong " + std::to_string(token)); }

  bool has(const std::string& event) const { return std::ranges::find(log, event) != log.end(); }

  std::vector<std::string> log;
  std::map<StreamId, HeaderList> headers, trailers;
  std::map<StreamId, std::string> data;
  std::map<StreamId, std::size_t> sent;
  std::vector<StreamId> sent_order;
  std::map<StreamId, bool> closed;
  std::vector<StreamId> ended;
  int settings = 0;
  bool consumes = true;
  Http2Session session;
};

// A client and a server back to back.
struct Pair {
  explicit Pair(const Http2Limits& limits = {}, bool connect = false)
      : client(Role::client, limits), server(Role::server, limits, connect) {
    run();
  }

  bool pass(Side& from, Side& to) {
    std::vector<std::uint8_t> out;
    if (from.session.take_output(out) == 0) return false;
    for (std::size_t at = 0; at < out.size(); at += piece) {
      to.session.feed(ByteView(out).subspan(at, std::min(piece, out.size() - at)), now);
    }
    return true;
  }
  void run() {
    for (int i = 0; i < 100'000; ++i) {
      const bool there = pass(client, server), back = pass(server, client);
      if (!there && !back) return;
    }
    ADD_FAILURE() << "the two never come to rest";
  }
  StreamId request(bool end = true, HeaderList more = {}) {
    HeaderList fields{{":method", "POST"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", "/x"}};
    fields.insert(fields.end(), more.begin(), more.end());
    const auto id = client.session.submit_request(fields, end);
    EXPECT_TRUE(id.has_value());
    return id.value_or(-1);
  }

  std::uint64_t now = kNow;
  std::size_t piece = std::string::npos;
  Side client, server;
};

const HeaderList kOk{{":status", "200"}};

TEST(Http2Session, CarriesARequestAndItsResponse) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::string::npos}) {
    Pair pair;
    pair.piece = std::min<std::size_t>(piece, 1 << 20);
    const HeaderList more{{"b", "2"},
                          {"a", "1"},
                          {"cookie", "x=0123456789abcdefghi"},
                          {"cookie", "y=0123456789abcdefghi"},
                          {"x-key", "s", true}};
    const StreamId id = pair.request(false, more);
    ASSERT_TRUE(pair.client.session.send_data(id, bytes_of_text("question"), true));
    pair.run();
    HeaderList expected{{":method", "POST"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", "/x"}};
    expected.insert(expected.end(), more.begin(), more.end());
    EXPECT_EQ(pair.server.headers[id], expected);  // in order, cookies apart, the flag kept
    EXPECT_EQ(pair.server.data[id], "question");
    EXPECT_EQ(pair.client.sent[id], 8u);
    ASSERT_TRUE(pair.server.session.submit_informational(id, {{":status", "103"}, {"link", "x"}}));
    ASSERT_TRUE(pair.server.session.submit_response(id, {{":status", "200"}, {"z", "1"}, {"y", "2"}}, false));
    ASSERT_TRUE(pair.server.session.send_data(id, bytes_of_text("answer"), false));
    pair.run();
    EXPECT_EQ(pair.client.data[id], "answer");
    ASSERT_TRUE(pair.server.session.send_trailers(id, {{"grpc-status", "0"}}));
    pair.run();
    EXPECT_EQ(pair.client.trailers[id], (HeaderList{{"grpc-status", "0"}}));
    EXPECT_EQ(pair.client.log,
              (std::vector<std::string>{"informational 1 103", "headers 1", "trailers 1", "closed 1"}));
    EXPECT_EQ(pair.server.log, (std::vector<std::string>{"headers 1", "end 1", "closed 1"}));
    EXPECT_EQ(pair.client.session.open_streams() + pair.server.session.open_streams(), 0u);
  }
}

TEST(Http2Session, ASlowReaderStopsTheSender) {
  for (const bool upload : {true, false}) {
    Pair pair;
    Side& from = upload ? pair.client : pair.server;
    Side& to = upload ? pair.server : pair.client;
    to.consumes = false;
    const StreamId id = pair.request(!upload);
    pair.run();
    if (!upload) ASSERT_TRUE(pair.server.session.submit_response(id, kOk, false));
    const std::string text(Http2Session::kMaxQueued, 'x');
    ASSERT_TRUE(from.session.send_data(id, bytes_of_text(text), false));
    EXPECT_FALSE(from.session.send_data(id, bytes_of_text("y"), false));  // full
    pair.run();
    EXPECT_EQ(to.data[id].size(), Http2Limits().stream_window);
    EXPECT_EQ(from.sent[id], Http2Limits().stream_window);
    EXPECT_EQ(from.session.queued(id), text.size() - from.sent[id]);
    to.session.consume(id, to.data[id].size());
    ASSERT_TRUE(from.session.send_data(id, {}, true));
    pair.run();
    EXPECT_EQ(to.data[id].size(), text.size());
    EXPECT_EQ(to.ended, std::vector<StreamId>{id});
  }
}

TEST(Http2Session, ConnectionWindowIsGivenBackForStreamsThatAreGone) {
  Http2Limits limits;
  limits.connection_window = 128 * 1024;
  limits.stream_window = 128 * 1024;
  Pair pair(limits);
  pair.server.consumes = false;
  const std::string text(128 * 1024, 'x');
  for (int i = 0; i < 6; ++i) {  // each fills the connection's window; then it ends, in three ways
    const StreamId id = pair.request(false);
    ASSERT_TRUE(pair.client.session.send_data(id, bytes_of_text(text), i % 3 == 0));
    pair.run();
    ASSERT_EQ(pair.server.data[id].size(), text.size()) << i;
    if (i % 3 == 1) pair.client.session.reset(id, Http2Error::cancel);
    if (i % 3 == 2) pair.server.session.reset(id, Http2Error::cancel);
    if (i % 3 == 0) {
      ASSERT_TRUE(pair.server.session.submit_response(id, kOk, true));
      pair.run();
      EXPECT_TRUE(pair.server.closed.contains(id));
      pair.server.session.consume(id, text.size());  // after the stream's end
    }
    pair.run();
    EXPECT_TRUE(pair.client.closed.contains(id) && pair.server.closed.contains(id)) << i;
  }
}

TEST(Http2Session, ResetsGoBothWays) {
  Pair pair;
  const StreamId first = pair.request(false), second = pair.request(false);
  pair.run();
  pair.client.session.reset(first, Http2Error::cancel);
  pair.server.session.reset(second, Http2Error::refused_stream);
  pair.run();
  EXPECT_TRUE(pair.server.has("reset 1 CANCEL"));
  EXPECT_TRUE(pair.client.has("reset 3 REFUSED_STREAM"));
  EXPECT_FALSE(pair.client.has("reset 1 CANCEL"));  // its own
  EXPECT_FALSE(pair.client.session.send_data(first, bytes_of_text("x"), false));
  EXPECT_EQ(pair.client.closed.size() + pair.server.closed.size(), 4u);
}

// A server may answer before it has read all, and then say NO_ERROR (RFC 9113, 8.1).
TEST(Http2Session, AnEarlyAnswerComesBeforeTheReset) {
  Pair pair;
  const StreamId id = pair.request(false);
  pair.run();
  ASSERT_TRUE(pair.server.session.submit_response(id, {{":status", "413"}}, true));
  pair.run();
  pair.server.session.reset(id, Http2Error::no_error);
  pair.run();
  EXPECT_EQ(pair.client.log, (std::vector<std::string>{"headers 1 end", "reset 1 NO_ERROR", "closed 1"}));
}

TEST(Http2Session, GoawayLetsOpenStreamsEnd) {
  Pair pair;
  const StreamId id = pair.request();
  pair.run();
  pair.server.session.goaway(Http2Error::no_error);
  pair.run();
  EXPECT_TRUE(pair.client.has("goaway 1 NO_ERROR"));
  EXPECT_FALSE(pair.client.session.may_open());
  EXPECT_FALSE(pair.client.session.submit_request(kOk, true).has_value());
  EXPECT_FALSE(pair.server.session.is_finished());
  ASSERT_TRUE(pair.server.session.submit_response(id, kOk, true));
  pair.run();
  EXPECT_TRUE(pair.client.has("headers 1 end"));
  EXPECT_TRUE(pair.server.session.is_finished());
  EXPECT_TRUE(pair.client.session.is_finished());
}

TEST(Http2Session, RequestsAboveALastStreamAreRefused) {
  Pair pair;
  pair.request();
  pair.run();
  pair.server.session.goaway(Http2Error::no_error);
  const StreamId late = pair.request();  // on its way at the same time
  pair.run();
  EXPECT_TRUE(pair.client.has("reset " + std::to_string(late) + " REFUSED_STREAM"));
  EXPECT_FALSE(pair.server.headers.contains(late));
}

TEST(Http2Session, ExtendedConnectIsOfferedAtOnceOrLater) {
  Pair at_once({}, true), later;
  EXPECT_TRUE(at_once.client.session.peer_takes_connect_protocol());
  EXPECT_FALSE(later.client.session.peer_takes_connect_protocol());
  later.server.session.offer_connect_protocol();
  later.run();
  EXPECT_TRUE(later.client.session.peer_takes_connect_protocol());
  EXPECT_EQ(later.client.settings, 2);
  for (Pair* pair : {&at_once, &later}) {
    const auto id = pair->client.session.submit_request({{":method", "CONNECT"},
                                                         {":protocol", "websocket"},
                                                         {":scheme", "https"},
                                                         {":path", "/chat"},
                                                         {":authority", "a.example"}},
                                                        false);
    ASSERT_TRUE(id.has_value());
    pair->run();
    EXPECT_EQ(header_value(pair->server.headers[*id], ":protocol"), "websocket");
    ASSERT_TRUE(pair->server.session.submit_response(*id, kOk, false));
    ASSERT_TRUE(pair->server.session.send_data(*id, bytes_of_text("hello"), false));
    ASSERT_TRUE(pair->client.session.send_data(*id, bytes_of_text("you"), false));
    pair->run();
    EXPECT_EQ(pair->client.data[*id], "hello");
    EXPECT_EQ(pair->server.data[*id], "you");
  }
}

TEST(Http2Session, CarriesAThousandStreams) {
  Pair pair;
  std::size_t answered = 0, opened = 0;
  while (answered < 1000) {
    while (opened < 1000 && pair.client.session.may_open()) {
      const StreamId id = pair.request(false);
      ASSERT_TRUE(pair.client.session.send_data(id, bytes_of_text(std::to_string(id)), true));
      ++opened;
    }
    EXPECT_LE(pair.client.session.open_streams(), Http2Limits().max_streams);
    pair.run();
    const std::size_t before = answered;
    for (const StreamId id : std::exchange(pair.server.ended, {})) {
      ASSERT_TRUE(pair.server.session.submit_response(id, kOk, false));
      ASSERT_TRUE(pair.server.session.send_data(id, bytes_of_text(pair.server.data[id]), true));
      ++answered;
    }
    pair.run();
    ASSERT_GT(answered, before);
  }
  EXPECT_EQ(pair.client.closed.size(), 1000u);
  for (const auto& [id, text] : pair.client.data) EXPECT_EQ(text, std::to_string(id));
}

// Streams that always have something to send must share the connection, whichever side sends.
TEST(Http2Session, BusyStreamsTakeTurns) {
  for (const bool upload : {true, false}) {
    Pair pair;
    Side& from = upload ? pair.client : pair.server;
    const StreamId a = pair.request(!upload), b = pair.request(!upload);
    pair.run();
    for (const StreamId id : {a, b}) {
      if (!upload) ASSERT_TRUE(pair.server.session.submit_response(id, kOk, false));
      ASSERT_TRUE(from.session.send_data(id, bytes_of_text(std::string(512 * 1024, 'x')), true));
    }
    pair.run();
    const auto first_b = std::ranges::find(from.sent_order, b) - from.sent_order.begin();
    EXPECT_LT(first_b, 4) << upload;
  }
}

TEST(Http2Session, FieldsThatMayNotBeSentAreRefused) {
  Pair pair;
  const auto with = [](std::string name, std::string value) {
    return HeaderList{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}, {name, value}};
  };
  EXPECT_TRUE(is_sendable(with("te", "trailers")));
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string, std::string>>{{"A", "b"},
                                                                  {"a b", "c"},
                                                                  {"", "c"},
                                                                  {"a", "b\r\nc"},
                                                                  {"a", " b"},
                                                                  {"connection", "close"},
                                                                  {"transfer-encoding", "chunked"},
                                                                  {"upgrade", "x"},
                                                                  {"te", "gzip"},
                                                                  {"keep-alive", "1"},
                                                                  {"a", "b\n"}}) {
    EXPECT_FALSE(is_sendable(with(name, value))) << name;
    EXPECT_FALSE(pair.client.session.submit_request(with(name, value), true).has_value()) << name;
  }
  EXPECT_FALSE(is_sendable({{"a", "b"}, {":path", "/"}}));
}

TEST(Http2Session, PingsAreAnswered) {
  Pair pair;
  pair.client.session.ping(0x0102030405060708);
  pair.run();
  EXPECT_TRUE(pair.client.has("pong " + std::to_string(0x0102030405060708)));
}

// ---- floods: what a server makes of a client's frames

struct Flooded {
  Side server;
  std::size_t frames = 0;  // until the connection was over
  bool over = false;
  std::vector<std::uint8_t> out;

  explicit Flooded(const Http2Limits& limits = {}) : server(Role::server, limits) {
    over = !server.session.feed(http2_start(), kNow);
  }
  // At most so many frames, in one second, with the output read or not.
  Http2Limit send(const std::function<Http2Bytes(std::uint32_t)>& make, std::size_t most, bool read = true) {
    for (; frames < most && !over; ++frames) {
      over = !server.session.feed(make(static_cast<std::uint32_t>(frames)), kNow);
      if (read) server.session.take_output(out);
    }
    server.session.take_output(out);
    return server.session.hit_limit();
  }
};

bool says_calm(const std::vector<std::uint8_t>& out) {
  // The last frame is a GOAWAY with ENHANCE_YOUR_CALM.
  return out.size() >= 17 && out[out.size() - 14] == NGHTTP2_GOAWAY && out.back() == NGHTTP2_ENHANCE_YOUR_CALM;
}

Http2Bytes request_frame(std::uint32_t stream, bool end = true, TestFields more = {}) {
  TestFields fields = request_fields("a.example");
  fields.insert(fields.end(), more.begin(), more.end());
  return frame(NGHTTP2_HEADERS, end ? 0x5 : 0x4, stream, header_block(std::move(fields)));
}

TEST(Http2Flood, EveryKindIsEnded) {
  struct Case {
    std::string name;
    std::function<Http2Bytes(std::uint32_t)> make;
    Http2Limit limit;
    std::size_t most;
    bool read = true;
  };
  const Case cases[] = {
      {"rapid reset",
       [](std::uint32_t i) {
         return request_frame(2 * i + 1) + frame(NGHTTP2_RST_STREAM, 0, 2 * i + 1, {0, 0, 0, 8});
       },
       Http2Limit::resets, 400},
      {"streams with errors",  // a window above 2^31 makes us reset the stream
       [](std::uint32_t i) {
         return request_frame(2 * i + 1, false) + frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, {0x7f, 0xff, 0xff, 0xff});
       },
       Http2Limit::own_resets, 400},
      {"continuations",
       [](std::uint32_t i) {
         return i == 0 ? frame(NGHTTP2_HEADERS, 0, 1, {0x82}) : frame(NGHTTP2_CONTINUATION, 0, 1, {0x82});
       },
       Http2Limit::continuations, 40},
      {"refused streams, unread",  // by a client that does not admit to know how many it may have
       [](std::uint32_t i) { return request_frame(2 * i + 1); }, Http2Limit::unread_output, 5000, false},
      {"settings", [](std::uint32_t) { return frame(NGHTTP2_SETTINGS, 0, 0, {}); }, Http2Limit::settings, 100},
      {"pings", [](std::uint32_t) { return frame(NGHTTP2_PING, 0, 0, Http2Bytes(8)); }, Http2Limit::pings, 200},
      {"empty data", [](std::uint32_t i) { return i == 0 ? request_frame(1, false) : frame(NGHTTP2_DATA, 0, 1, {}); },
       Http2Limit::empty_frames, 400},
      {"window updates",
       [](std::uint32_t) {
         return frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {0, 0, 0, 1});
       },
       Http2Limit::window_updates, 5000},
      {"priorities",
       [](std::uint32_t) {
         return frame(NGHTTP2_PRIORITY, 0, 1, {0, 0, 0, 3, 1});
       },
       Http2Limit::other_frames, 3000},
      {"unknown frames", [](std::uint32_t) { return frame(0xbb, 0, 0, {}); }, Http2Limit::other_frames, 3000},
  };
  for (const Case& one : cases) {
    Flooded flooded;
    EXPECT_EQ(to_string(flooded.send(one.make, one.most, one.read)), to_string(one.limit)) << one.name;
    EXPECT_TRUE(flooded.over) << one.name;
    EXPECT_TRUE(says_calm(flooded.out)) << one.name;
    EXPECT_FALSE(flooded.server.session.feed(frame(NGHTTP2_PING, 0, 0, Http2Bytes(8)), kNow)) << one.name;
    EXPECT_TRUE(flooded.server.session.is_finished()) << one.name;
    EXPECT_EQ(flooded.server.session.open_streams(), 0u) << one.name;
  }
}

// One long value in the table, and then references to it: a few bytes make gigabytes.
TEST(Http2Flood, AnHpackBombIsEnded) {
  Flooded flooded;
  const std::string value(3000, 'x');
  Http2Bytes block = header_block(request_fields("a.example"));
  const Http2Bytes literal = {0x40, 0x01, 'a', 0x7f, 0xb9, 0x16};  // 127 + 0x39 + 0x16 * 128 = 3000
  block.insert(block.end(), literal.begin(), literal.end());
  block.insert(block.end(), value.begin(), value.end());
  block.insert(block.end(), 5000, 0xbe);  // index 62, the newest
  flooded.over = !flooded.server.session.feed(frame(NGHTTP2_HEADERS, 0x5, 1, block), kNow);
  EXPECT_EQ(to_string(flooded.server.session.hit_limit()), to_string(Http2Limit::header_list));
  flooded.server.session.take_output(flooded.out);
  EXPECT_TRUE(flooded.over);
  EXPECT_TRUE(says_calm(flooded.out));
  EXPECT_TRUE(flooded.server.headers.empty());
}

TEST(Http2Flood, AnswersLeftUnreadAreBounded) {
  Http2Limits limits;
  limits.pings = {100'000, 0};
  Flooded flooded(limits);
  flooded.send([](std::uint32_t) { return frame(NGHTTP2_PING, 0, 0, Http2Bytes(8)); }, 2000, false);
  EXPECT_EQ(to_string(flooded.server.session.hit_limit()), to_string(Http2Limit::unread_output));
  EXPECT_LT(flooded.frames, 1000u);
}

// No window holds them back.
TEST(Http2Flood, InterimResponsesLeftUnreadAreBounded) {
  Pair pair;
  std::vector<StreamId> asked;
  for (int index = 0; index < 4; ++index) asked.push_back(pair.request());
  pair.run();
  const auto informed = [&pair] {
    return std::ranges::count_if(pair.client.log, [](const auto& event) { return event.starts_with("informational"); });
  };
  const HeaderList fields{{":status", "103"}, {"x-long", std::string(40'000, 'x')}};
  for (int round = 1; round <= 2; ++round) {
    for (const StreamId stream : asked) {
      EXPECT_TRUE(pair.server.session.submit_informational(stream, fields));
      EXPECT_TRUE(pair.server.session.submit_informational(stream, fields));
    }
    pair.run();
    EXPECT_EQ(informed(), 2 * round);
  }
}

TEST(Http2Flood, AStreamAboveTheLimitIsRefusedAlone) {
  Flooded flooded;
  flooded.send([](std::uint32_t i) { return request_frame(2 * i + 1); }, Http2Limits().max_streams + 10);
  EXPECT_FALSE(flooded.over);
  EXPECT_EQ(flooded.server.headers.size(), Http2Limits().max_streams);
}

TEST(Http2Flood, TheRatesComeBackWithTime) {
  Flooded flooded;
  std::uint64_t now = kNow;
  for (int second = 0; second < 60; ++second, now += kSecond) {
    for (int i = 0; i < 8; ++i) {
      ASSERT_TRUE(flooded.server.session.feed(frame(NGHTTP2_PING, 0, 0, Http2Bytes(8)), now)) << second;
    }
    flooded.server.session.take_output(flooded.out);
  }
}

// As gRPC does to measure the bandwidth: as many pings as there are DATA frames.
TEST(Http2Flood, PingsAndWindowsThatDataExplainsAreFine) {
  Pair pair;
  const StreamId id = pair.request();
  pair.run();
  ASSERT_TRUE(pair.server.session.submit_response(id, kOk, false));
  const std::string text(16384, 'x');
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(pair.server.session.send_data(id, bytes_of_text(text), false));
    pair.run();
    pair.client.session.ping(1);
    pair.run();
    ASSERT_EQ(pair.server.session.hit_limit(), Http2Limit::none) << i;
  }
  EXPECT_EQ(pair.client.data[id].size(), 5000 * text.size());
}

// Servers that answer before they have read all end every answer so.
TEST(Http2Flood, AServerMayResetWhatItAnswered) {
  Pair pair;
  for (int i = 0; i < 2000; ++i) {
    const StreamId id = pair.request(false);
    pair.run();
    ASSERT_TRUE(pair.server.session.submit_response(id, kOk, true));
    pair.run();
    pair.server.session.reset(id, Http2Error::no_error);
    pair.run();
    ASSERT_EQ(pair.client.session.hit_limit(), Http2Limit::none) << i;
  }
}

// Before it has our settings a client may think that it may open a thousand.
TEST(Http2Flood, AFirstBurstOfStreamsIsRefusedInPart) {
  Flooded flooded;
  Http2Bytes burst;
  for (std::uint32_t i = 0; i < 900; ++i) burst = burst + request_frame(2 * i + 1);
  flooded.over = !flooded.server.session.feed(burst, kNow);
  flooded.send([](std::uint32_t) { return frame(NGHTTP2_PING, 0, 0, Http2Bytes(8)); }, 2);
  EXPECT_FALSE(flooded.over) << to_string(flooded.server.session.hit_limit());
  EXPECT_EQ(flooded.server.headers.size(), Http2Limits().max_streams);
}

TEST(Http2Session, AHeadThatIsTooLongEndsItsStream) {
  Pair pair;
  const StreamId id = pair.request();
  pair.run();
  ASSERT_TRUE(pair.server.session.submit_response(id, {{":status", "200"}, {"a", std::string(300'000, 'x')}}, false));
  pair.run();
  EXPECT_TRUE(pair.server.has("reset 1 INTERNAL_ERROR"));
  EXPECT_TRUE(pair.client.has("reset 1 INTERNAL_ERROR"));
  pair.request();
  pair.run();
  EXPECT_TRUE(pair.server.headers.contains(id + 2));  // the connection goes on
}

TEST(Http2Flood, WhatBreaksTheProtocolEndsTheConnection) {
  Flooded flooded;
  flooded.send([](std::uint32_t i) { return i == 0 ? request_frame(1) : frame(NGHTTP2_DATA, 0, 3, {1}); }, 2);
  EXPECT_TRUE(flooded.server.has("reset 1 PROTOCOL_ERROR"));
  EXPECT_TRUE(flooded.server.session.is_finished());
  EXPECT_FALSE(flooded.server.session.feed(frame(NGHTTP2_PING, 0, 0, Http2Bytes(8)), kNow));
  EXPECT_EQ(flooded.server.session.hit_limit(), Http2Limit::protocol);
  Side other(Role::server);
  EXPECT_FALSE(other.session.feed(bytes_of_text("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), kNow));
  EXPECT_EQ(other.session.hit_limit(), Http2Limit::protocol);
}

}  // namespace
}  // namespace microagent::http
