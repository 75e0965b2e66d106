#include "mediator/upstream_pool.h"

#include "mediator/test_loop.h"
#include "tls/testing/peers.h"

namespace microagent::mediator {
namespace {

namespace made = tls::testing;

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
    pool_.put(key, std::move(upstream.stream));
    return upstream;
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
  EXPECT_EQ(pool_.take({"b.example", key_.address, key_.alpn}), nullptr);
  EXPECT_EQ(pool_.take({key_.name, "192.0.2.2:443", key_.alpn}), nullptr);
  EXPECT_EQ(pool_.take({key_.name, key_.address, {"http/1.1"}}), nullptr);
  EXPECT_NE(pool_.take(key_), nullptr);
  EXPECT_EQ(pool_.take(key_), nullptr);
  EXPECT_FALSE(pool_.leads_to("192.0.2.1:443"));
}

TEST_F(UpstreamPoolTest, GivesTheOneThatWasUsedLast) {
  const Upstream first = keep(key_);
  Upstream second = connect();
  const int last = descriptor_of(second.stream);
  pool_.put(key_, std::move(second.stream));
  const auto taken = pool_.take(key_);
  ASSERT_TRUE(taken);
  EXPECT_EQ(descriptor_of(taken), last);
}

TEST_F(UpstreamPoolTest, GivesNoneThatItsServerHasEnded) {
  Upstream orderly = keep(key_), gone = keep(key_);
  EXPECT_TRUE(orderly.server->close_notify());
  gone.far.reset();
  EXPECT_EQ(pool_.take(key_), nullptr);
  EXPECT_EQ(pool_.size(), 0u);
}

TEST_F(UpstreamPoolTest, GivesNoneThatSpokeUnasked) {
  Upstream upstream = keep(key_);
  EXPECT_TRUE(upstream.server->write(text_bytes("HTTP/1.1 408 Request Timeout\r\n\r\n")));
  EXPECT_EQ(pool_.take(key_), nullptr);
}

TEST_F(UpstreamPoolTest, KeepsNoneThatIsDone) {
  Upstream upstream = connect();
  upstream.far.reset();
  pool_.put(key_, std::move(upstream.stream));
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
  EXPECT_EQ(pool_.take(key_), nullptr) << "they were the oldest";
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
  EXPECT_NE(pool_.take(key_), nullptr);
}

}  // namespace
}  // namespace microagent::mediator
