#include "mediator/upstream_pool.h"

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

TEST_F(UpstreamPoolTest, LetsGoOfWhatItsServerHasEnded) {
  Upstream gone = keep(key_), alive = keep(key_);
  gone.far.reset();
  const Deadline deadline = in(UpstreamPool::kSweep + std::chrono::seconds(10));
  while (pool_.size() > 1 && std::chrono::steady_clock::now() < deadline) {
    loop_.io.restart();
    loop_.io.run_one_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(pool_.size(), 1u);
  EXPECT_TRUE(take(key_));
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
  EXPECT_TRUE(taken.http2->wants_write()) << "the ping is answered by who comes next";
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

}  // namespace
}  // namespace microagent::mediator
