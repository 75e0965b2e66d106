#include "mediator/mediation_channel.h"

#include <gmock/gmock.h>
#include <sys/un.h>

#include <nlohmann/json.hpp>

#include "mediator/test_directory.h"
#include "mediator/test_loop.h"

namespace microagent::mediator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

Json whole(bool is_unix) {
  if (is_unix) return Json::parse(R"({"port":2048,"text":"unix:/x","path":"/x"})");
  return Json::parse(R"({"port":2048,"text":"localhost:9900","host":"localhost","tcpPort":9900})");
}

TEST(MediationConfig, IsReadWhole) {
  const auto tcp = parse_mediation_config(whole(false));
  ASSERT_TRUE(tcp);
  EXPECT_EQ(tcp->port, 2048U);
  EXPECT_EQ(tcp->text, "localhost:9900");
  EXPECT_EQ(tcp->target.host, "localhost");
  EXPECT_EQ(tcp->target.port, 9900);
  const auto path = parse_mediation_config(whole(true));
  ASSERT_TRUE(path);
  EXPECT_EQ(path->target.path, "/x");
}

TEST(MediationConfig, IsStrict) {
  for (const bool is_unix : {false, true}) {
    const Json original = whole(is_unix);
    for (const auto& [key, value] : original.items()) {
      for (const Json& wrong : {Json(), Json(Json::value_t::discarded), Json(-1), Json(true)}) {
        Json changed = original;
        changed[key] = wrong;
        if (wrong.is_discarded()) changed.erase(key);
        EXPECT_FALSE(parse_mediation_config(changed)) << key << " " << wrong.type_name();
      }
    }
    Json surplus = original;
    surplus["surplus"] = 1;
    EXPECT_THAT(parse_mediation_config(surplus).error().message, HasSubstr("unknown key"));
  }
  EXPECT_FALSE(parse_mediation_config(Json::array()));
}

// The channel to a port of this host, where nobody need listen.
class MediationChannelTest : public testing::Test {
 protected:
  void start(std::uint16_t port) {
    channel_.emplace(loop_.io.get_executor(), HostTarget{"127.0.0.1", port, {}},
                     [this](bool ready, const std::string& error) { reports_.push_back(ready ? "ready" : error); });
    channel_->start();
  }
  bool await_reports(std::size_t count) {
    return loop_.until([&] { return reports_.size() >= count; });
  }
  tl::expected<Fd, DialError> connect() { return loop_.result_of(channel_->connect(Delivery::stream)); }

  TestLoop loop_;
  std::vector<std::string> reports_;
  std::optional<MediationChannel> channel_;
};

TEST_F(MediationChannelTest, LooksAtOnceByConnectingAndClosing) {
  const LoopbackSocket server(SOCK_STREAM);
  start(server.port());
  ASSERT_TRUE(await_reports(1));
  EXPECT_THAT(reports_, ElementsAre("ready"));
  const Fd probe = server.accept();
  ASSERT_TRUE(probe);
  EXPECT_EQ(arrived(probe), Bytes()) << "it is closed again";
}

TEST_F(MediationChannelTest, SaysWhyNotAndComesBackByItself) {
  std::optional<LoopbackSocket> server(std::in_place, SOCK_STREAM, 0, false);
  const std::uint16_t port = server->port();
  start(port);
  ASSERT_TRUE(await_reports(1));
  EXPECT_THAT(reports_, ElementsAre("Connection refused"));
  server.reset();
  const LoopbackSocket back(SOCK_STREAM, port);
  ASSERT_TRUE(await_reports(2));
  EXPECT_THAT(reports_, ElementsAre("Connection refused", "ready"));
}

TEST_F(MediationChannelTest, AConnectionThatTheTargetResetIsWorthALook) {
  std::optional<LoopbackSocket> server(std::in_place, SOCK_STREAM);
  start(server->port());
  ASSERT_TRUE(await_reports(1));
  const auto connection = connect();
  ASSERT_TRUE(connection);
  server.reset();
  const Deadline heartbeat = in(MediationChannel::kHeartbeat / 2);
  channel_->release(true);
  ASSERT_TRUE(await_reports(2));
  EXPECT_LT(std::chrono::steady_clock::now(), heartbeat) << "before the heartbeat would have noticed";
  EXPECT_THAT(reports_, ElementsAre("ready", "Connection refused"));
}

TEST_F(MediationChannelTest, AGuestsFailedDialIsNoticed) {
  std::optional<LoopbackSocket> server(std::in_place, SOCK_STREAM);
  start(server->port());
  ASSERT_TRUE(await_reports(1));
  server.reset();
  EXPECT_FALSE(connect());
  ASSERT_TRUE(await_reports(2));
  EXPECT_THAT(reports_, ElementsAre("ready", "Connection refused"));
}

TEST_F(MediationChannelTest, FindsASocketThatKeepsMessagesApart) {
  const TestDirectory directory;
  const std::string path = (directory.audit_file().parent_path() / "plane.sock").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 16), 0);
  channel_.emplace(loop_.io.get_executor(), HostTarget{{}, 0, path},
                   [this](bool ready, const std::string& error) { reports_.push_back(ready ? "ready" : error); });
  channel_->start();
  ASSERT_TRUE(await_reports(1));
  EXPECT_TRUE(loop_.result_of(channel_->connect(Delivery::packets)));
  EXPECT_FALSE(connect()) << "no stream";
  loop_.io.restart();
  loop_.io.run_for(4 * MediationChannel::kFirstRetry);
  EXPECT_THAT(reports_, ElementsAre("ready"));
}

TEST_F(MediationChannelTest, AGuestCannotMakeItLookAllTheTime) {
  const LoopbackSocket server(SOCK_STREAM);
  start(server.port());
  ASSERT_TRUE(await_reports(1));
  const auto probes = [&] {
    int count = 0;
    while (server.accept()) ++count;
    return count;
  };
  EXPECT_EQ(probes(), 1);
  const Deadline end = in(4 * MediationChannel::kFirstRetry);
  while (std::chrono::steady_clock::now() < end) {
    const auto connection = connect();
    ASSERT_TRUE(connection);
    EXPECT_TRUE(server.accept());
    channel_->release(true);
  }
  EXPECT_LE(probes(), 6);
}

TEST_F(MediationChannelTest, NoticesOnTheQuietThatTheTargetIsGone) {
  std::optional<LoopbackSocket> server(std::in_place, SOCK_STREAM);
  start(server->port());
  ASSERT_TRUE(await_reports(1));
  server.reset();
  if (!await_reports(2)) ASSERT_TRUE(await_reports(2));  // the heartbeat is as long as the loop's patience
  EXPECT_THAT(reports_, ElementsAre("ready", "Connection refused"));
}

TEST_F(MediationChannelTest, CountsItsConnections) {
  const LoopbackSocket server(SOCK_STREAM);
  start(server.port());
  std::vector<Fd> held;
  for (std::size_t i = 0; i < MediationChannel::kMaxConnections; ++i) {
    ASSERT_FALSE(channel_->full());
    auto connection = connect();
    ASSERT_TRUE(connection);
    held.push_back(std::move(*connection));
    held.push_back(server.accept());
  }
  EXPECT_TRUE(channel_->full());
  channel_->release(false);
  EXPECT_FALSE(channel_->full());
}

TEST_F(MediationChannelTest, AFailedDialHoldsNoPlace) {
  const LoopbackSocket closed(SOCK_STREAM, 0, false);
  start(closed.port());
  for (std::size_t i = 0; i <= MediationChannel::kMaxConnections; ++i) EXPECT_FALSE(connect());
  EXPECT_FALSE(channel_->full());
}

}  // namespace
}  // namespace microagent::mediator
