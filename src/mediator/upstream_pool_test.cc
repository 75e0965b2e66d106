#include "mediator/upstream_pool.h"

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "http/test_http2.h"
#include "mediator/test_loop.h"
#include "tls/testing/peers.h"

namespace microagent::mediator {
namespace {

namespace made = tls::testing;
using http::operator+;

class UpstreamPoolTest : public testing::Test {
 protected:
  // A connection as it comes from a handshake, and its server's end.
  struct Upstream {
    Fd far;
    std::optional<tls::Connection> server;
    std::unique_ptr<TlsStream> stream;
  };
  Upstream connect() {
    made::Pair pair;
    tls::Connection near = made::call(client_.get(), pair.near.get(), "a.example");
    Upstream upstream;
    upstream.server.emplace(made::serve(server_.get(), pair.far.get()));
    EXPECT_TRUE(made::shake_hands(near, *upstream.server).done());
    upstream.far = std::move(pair.far);
    auto watched = watch(loop_.io.get_executor(), std::move(pair.near));
    upstream.stream = std::make_unique<TlsStream>(std::move(*watched), std::move(near));
    return upstream;
  }
  // Kept under `key`; the server's end.
  Upstream keep(const UpstreamKey& key) {
    Upstream upstream = connect();
    pool_.put(key, {std::move(upstream.stream)});
    return upstream;
  }

  UpstreamConnection take(const UpstreamKey& key) {
    return pool_.take(key, [](const UpstreamConnection&) { return true; });
  }

  // What the server reads until the end, which must be in order.
  std::string until_end(Upstream& upstream) {
    std::string all;
    std::array<std::uint8_t, 4096> piece;
    EXPECT_TRUE(loop_.until([&] {
      const auto count = upstream.server->read(piece);
      if (count) all.append(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*count));
      if (!count && !count.error().waits()) EXPECT_EQ(count.error().stop, tls::Stop::ended) << "cut off";
      return !count && !count.error().waits();
    }));
    return all;
  }

  static int descriptor_of(const std::unique_ptr<TlsStream>& stream) { return stream->descriptor().native_handle(); }

  const UpstreamKey key_{"a.example", "192.0.2.1:443", {"h2", "http/1.1"}};
  made::Identity identity_ = made::make({});
  tls::SslContextPtr server_ = made::make_server(identity_), client_ = made::make_client();
  TestLoop loop_;
  UpstreamPool pool_{loop_.io.get_executor()};
};

// The tickets that a server sends behind its handshake are not what it says.
TEST_F(UpstreamPoolTest, GivesAConnectionToWhoWantsTheSame) {
  const Upstream upstream = keep(key_);
  EXPECT_TRUE(pool_.leads_to("192.0.2.1:443"));
  EXPECT_FALSE(pool_.leads_to("192.0.2.1:8443"));
  EXPECT_FALSE(take({"b.example", key_.address, key_.alpn}));
  EXPECT_FALSE(take({key_.name, "192.0.2.2:443", key_.alpn}));
  EXPECT_FALSE(take({key_.name, key_.address, {"http/1.1"}}));
  EXPECT_TRUE(take(key_));
  EXPECT_FALSE(take(key_));
  EXPECT_FALSE(pool_.leads_to("192.0.2.1:443"));
}

TEST_F(UpstreamPoolTest, GivesTheOneThatWasUsedLast) {
  const Upstream first = keep(key_);
  Upstream second = connect();
  const int last = descriptor_of(second.stream);
  pool_.put(key_, {std::move(second.stream)});
  const auto taken = take(key_);
  ASSERT_TRUE(taken);
  EXPECT_EQ(descriptor_of(taken.stream), last);
}

TEST_F(UpstreamPoolTest, GivesNoneThatItsServerHasEnded) {
  Upstream orderly = keep(key_), gone = keep(key_);
  EXPECT_TRUE(orderly.server->close_notify());
  gone.far.reset();
  EXPECT_FALSE(take(key_));
  EXPECT_EQ(pool_.size(), 0u);
}

TEST_F(UpstreamPoolTest, GivesNoneThatSpokeUnasked) {
  Upstream upstream = keep(key_);
  EXPECT_TRUE(upstream.server->write(text_bytes("HTTP/1.1 408 Request Timeout\r\n\r\n")));
  EXPECT_FALSE(take(key_));
}

TEST_F(UpstreamPoolTest, KeepsNoneThatIsDone) {
  Upstream upstream = connect();
  upstream.far.reset();
  pool_.put(key_, {std::move(upstream.stream)});
  EXPECT_EQ(pool_.size(), 0u);
}

// A server that was not told would take it for an attack that cuts the connection off.
TEST_F(UpstreamPoolTest, TellsTheServerOfWhatItDrops) {
  std::vector<Upstream> same;
  for (std::size_t i = 0; i < UpstreamPool::kMaxOfOneKey + 1; ++i) same.push_back(keep(key_));
  EXPECT_EQ(until_end(same.front()), "");
  pool_.clear();
  EXPECT_EQ(until_end(same.back()), "");
}

TEST_F(UpstreamPoolTest, TellsTheServersWhenItEnds) {
  auto pool = std::make_unique<UpstreamPool>(loop_.io.get_executor());
  Upstream upstream = connect();
  pool->put(key_, {std::move(upstream.stream)});
  pool.reset();
  EXPECT_EQ(until_end(upstream), "");
}

TEST_F(UpstreamPoolTest, IsBoundedForOneAndForAll) {
  std::vector<Upstream> upstreams;
  for (std::size_t i = 0; i < UpstreamPool::kMaxOfOneKey + 3; ++i) upstreams.push_back(keep(key_));
  EXPECT_EQ(pool_.size(), UpstreamPool::kMaxOfOneKey);
  for (std::size_t i = 0; i < UpstreamPool::kMaxKept; ++i) {
    upstreams.push_back(keep({"a.example", "192.0.2.1:" + std::to_string(i + 1), {}}));
  }
  EXPECT_EQ(pool_.size(), UpstreamPool::kMaxKept);
  EXPECT_FALSE(take(key_)) << "they were the oldest";
  pool_.clear();
  EXPECT_EQ(pool_.size(), 0u);
}

TEST_F(UpstreamPoolTest, LetsGoAtOnceOfWhatItsServerHasEnded) {
  Upstream gone = keep(key_), alive = keep(key_);
  gone.far.reset();
  EXPECT_TRUE(loop_.until([&] { return pool_.size() == 1; }));
  EXPECT_TRUE(take(key_));
}

// What comes for its next owner is not for the pool.
TEST_F(UpstreamPoolTest, HearsNothingOfWhatItHasGivenAway) {
  Upstream upstream = keep(key_);
  const UpstreamConnection taken = take(key_);
  ASSERT_TRUE(taken);
  EXPECT_TRUE(upstream.server->write(text_bytes("for its owner")));
  for (int turns = 0; turns < 10; ++turns) {
    loop_.io.restart();
    loop_.io.run_one_for(std::chrono::milliseconds(2));
  }
  std::array<std::uint8_t, 64> piece;
  const auto arrival = taken.stream->take_unasked(piece);
  ASSERT_TRUE(arrival);
  EXPECT_EQ(arrival->bytes, std::string_view("for its owner").size());
}

// ---- HTTP/2

class Http2PoolTest : public UpstreamPoolTest {
 protected:
  // Between two flows, with a server that says this meanwhile.
  UpstreamConnection after(const http::Http2Bytes& said) {
    const http::Http2Bytes all = http::frame(NGHTTP2_SETTINGS, 0, 0, {}) + said;
    Upstream upstream = connect();
    http::Http2Session session({http::Http2Session::Role::client, false, {}}, events_);
    session.detach();
    pool_.put(key_, {std::move(upstream.stream), std::move(session)});
    EXPECT_EQ(pool_.size(), 1u);
    EXPECT_EQ(upstream.server->write(all).value_or(0), all.size());
    upstreams_.push_back(std::move(upstream));
    return take(key_);
  }

  class Unheard final : public http::Http2Events {
    void on_headers(http::StreamId, http::HeaderList, bool) override {}
    void on_informational(http::StreamId, http::HeaderList) override {}
    void on_data(http::StreamId, ByteView, bool) override {}
    void on_trailers(http::StreamId, http::HeaderList) override {}
    void on_sent(http::StreamId, std::size_t) override {}
    void on_reset(http::StreamId, http::Http2Error) override {}
    void on_closed(http::StreamId) override {}
    void on_goaway(http::StreamId, http::Http2Error) override { FAIL() << "it is nobody's"; }
    void on_settings() override { FAIL() << "it is nobody's"; }
    void on_pong(std::uint64_t) override {}
  } events_;
  std::vector<Upstream> upstreams_;
};

TEST_F(Http2PoolTest, HearsWhatIsSaidMeanwhile) {
  const auto taken = after(
      http::frame(NGHTTP2_PING, 0, 0, http::Http2Bytes(8)) + http::frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {0, 0, 1, 0}) +
      http::frame(NGHTTP2_SETTINGS, 0, 0, {0, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 0, 0, 0, 1}));
  ASSERT_TRUE(taken);
  ASSERT_TRUE(taken.http2);
  EXPECT_TRUE(taken.http2->peer_takes_connect_protocol());
  EXPECT_FALSE(taken.http2->wants_write()) << "the ping is answered";
}

TEST_F(Http2PoolTest, GivesNoneThatGoesAway) {
  EXPECT_FALSE(after(http::frame(NGHTTP2_GOAWAY, 0, 0, http::Http2Bytes(8))));
}

TEST_F(Http2PoolTest, GivesNoneThatAllowsNoStreams) {
  EXPECT_FALSE(after(http::frame(NGHTTP2_SETTINGS, 0, 0, {0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0, 0, 0, 0})));
}

TEST_F(Http2PoolTest, GivesNoneThatBreaksTheProtocol) {
  EXPECT_FALSE(after(http::frame(NGHTTP2_DATA, 0, 1, {1, 2, 3})));
}

TEST_F(Http2PoolTest, GivesNoneThatTalksWithoutEnd) {
  http::Http2Bytes all;
  for (int at = 0; at < 10; ++at) all = all + http::frame(0xbe, 0, 0, http::Http2Bytes(8000));
  EXPECT_FALSE(after(all));
}

TEST_F(Http2PoolTest, IsForWhoCanGoOnWithIt) {
  Upstream upstream = connect();
  pool_.put(key_,
            {std::move(upstream.stream), http::Http2Session({http::Http2Session::Role::client, false, {}}, events_)});
  EXPECT_FALSE(pool_.take(key_, [](const UpstreamConnection& kept) { return !kept.http2; }));
  EXPECT_TRUE(take(key_));
}

// A server's end of a connection that rests.
class RestingServer final : public http::Http2Events {
 public:
  explicit RestingServer(tls::Connection& connection) : connection_(connection) {}

  // Sends what it has to say, and hears what has come. False at the end.
  bool turn() {
    std::vector<std::uint8_t> out;
    if (session.take_output(out) > 0) static_cast<void>(connection_.write(out));
    std::array<std::uint8_t, 4096> piece;
    const auto count = connection_.read(piece);
    if (count) heard_.insert(heard_.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*count));
    if (count) session.feed(ByteView(piece).first(*count), monotonic_ns());
    ended = !count && count.error().stop == tls::Stop::ended;
    return count || count.error().waits();
  }

  void on_headers(http::StreamId, http::HeaderList, bool) override {}
  void on_informational(http::StreamId, http::HeaderList) override {}
  void on_data(http::StreamId, ByteView, bool) override {}
  void on_trailers(http::StreamId, http::HeaderList) override {}
  void on_sent(http::StreamId, std::size_t) override {}
  void on_reset(http::StreamId, http::Http2Error) override {}
  void on_closed(http::StreamId) override {}
  void on_goaway(http::StreamId, http::Http2Error) override {}
  void on_settings() override {}
  void on_pong(std::uint64_t token) override { pong = token; }

  http::Http2Session session{{http::Http2Session::Role::server, false, {}}, *this};
  std::optional<std::uint64_t> pong;
  bool ended = false;

  // The last that was heard; a session that is over itself does not tell of it.
  bool has_heard_goaway() const {
    const http::Http2Bytes goaway = http::frame(NGHTTP2_GOAWAY, 0, 0, http::Http2Bytes(8));
    return heard_.size() > goaway.size() && std::equal(goaway.rbegin(), goaway.rend(), heard_.rbegin());
  }

 private:
  http::Http2Bytes heard_;
  tls::Connection& connection_;
};

class RestingTest : public Http2PoolTest {
 protected:
  RestingTest() {
    http::Http2Session session({http::Http2Session::Role::client, false, {}}, events_);
    session.detach();
    pool_.put(key_, {std::move(upstream_.stream), std::move(session)});
    EXPECT_TRUE(loop_.until([&] { return server_.turn() && server_.session.has_peer_settings(); }));
  }
  bool ends() {
    return loop_.until([&] { return !server_.turn(); });
  }

  Upstream upstream_ = connect();
  RestingServer server_{*upstream_.server};
};

// Servers that keep a connection alive, as those of gRPC do, end one whose client is silent.
TEST_F(RestingTest, AnswersPings) {
  server_.session.ping(7);
  EXPECT_TRUE(loop_.until([&] { return server_.turn() && server_.pong; }));
  server_.session.ping(8);
  EXPECT_TRUE(loop_.until([&] { return server_.turn() && server_.pong == 8; }));
  EXPECT_EQ(pool_.size(), 1u);
  EXPECT_TRUE(take(key_));
}

TEST_F(RestingTest, PartsInOrderFromAServerThatGoesAway) {
  server_.session.goaway(http::Http2Error::no_error);
  EXPECT_TRUE(ends());
  EXPECT_TRUE(server_.has_heard_goaway());
  EXPECT_TRUE(server_.ended);
  EXPECT_EQ(pool_.size(), 0u);
}

TEST_F(RestingTest, PartsInOrderFromAServerThatIsNotNeededAnyMore) {
  pool_.clear();
  EXPECT_TRUE(ends());
  EXPECT_TRUE(server_.has_heard_goaway());
  EXPECT_TRUE(server_.ended);
}

// However slowly: a connection at rest costs next to nothing.
TEST_F(RestingTest, DoesNotListenForever) {
  const http::Http2Bytes idle = http::frame(0xbe, 0, 0, http::Http2Bytes(8000));
  for (std::size_t said = 0; said < 2 * UpstreamConnection::kMostUnasked && pool_.size() > 0; said += idle.size()) {
    ASSERT_EQ(upstream_.server->write(idle).value_or(0), idle.size());
    loop_.io.restart();
    loop_.io.run_one_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(pool_.size(), 0u);
}

}  // namespace
}  // namespace microagent::mediator
