#include "mediator/agent_protocol.h"

#include <gtest/gtest.h>

#include "wire/guest_config.h"

namespace microagent::mediator {
namespace {

using Bytes = std::vector<std::uint8_t>;
using wire::FrameType;

Bytes hello(std::uint32_t version = wire::kAgentVersion) {
  return wire::encode_frame(FrameType::hello, bytes_of(le32(version)));
}

Bytes ready() {
  return wire::encode_frame(
      FrameType::ready,
      wire::encode_guest_facts(
          {"192.168.64.2/24", "192.168.64.0/24", "192.168.64.1", {"192.168.64.1"}, {"0.0.0.0/0 via 192.168.64.1"}}));
}

Bytes exited(std::uint32_t code, std::uint32_t signal) {
  return wire::encode_frame(FrameType::workload_exited, bytes_of(wire::ExitStatus{code, signal}));
}

class AgentProtocolTest : public testing::Test {
 protected:
  // What a greeted guest's bytes make of themselves, as text.
  std::string after_hello(const Bytes& bytes) {
    if (!protocol_.greeted()) EXPECT_TRUE(protocol_.feed(hello()));
    const auto messages = protocol_.feed(bytes);
    return messages ? nlohmann::json(*messages).dump() : "violation: " + messages.error();
  }

  AgentProtocol protocol_{false};
};

TEST_F(AgentProtocolTest, PassesTheGuestsFactsOn) {
  EXPECT_EQ(after_hello(ready()),
            R"([{"network":{"dns":["192.168.64.1"],"gateway":"192.168.64.1","ip":"192.168.64.2/24",)"
            R"("routes":["0.0.0.0/0 via 192.168.64.1"],"subnet":"192.168.64.0/24"},"type":"guest_ready"}])");
  EXPECT_EQ(after_hello(exited(3, 0)), R"([{"code":3,"signal":0,"type":"workload_exited"}])");
}

TEST_F(AgentProtocolTest, PassesOnWhetherTheGuestTrustsUs) {
  EXPECT_EQ(after_hello(wire::encode_frame(FrameType::trusted, ByteView())),
            R"([{"error":"","ready":true,"type":"trust"}])");
  EXPECT_EQ(after_hello(wire::encode_frame(FrameType::trusted, std::string_view("no\nroom"))),
            R"([{"error":"no?room","ready":false,"type":"trust"}])");
}

TEST_F(AgentProtocolTest, LeavesTheNetworkOutWhenIsolated) {
  protocol_ = AgentProtocol(true);
  EXPECT_EQ(after_hello(wire::encode_frame(FrameType::ready, std::string_view("ip=192.0.2.1/24\nstage=15 kernel\n"))),
            R"([{"stages":[{"microseconds":15,"name":"kernel"}],"type":"guest_ready"}])");
}

TEST_F(AgentProtocolTest, MakesTheGuestsWordsPrintable) {
  const std::string dirty = "no \x1b[31m disk\n\xff" + std::string(1000, 'x');
  EXPECT_EQ(after_hello(wire::encode_frame(FrameType::failed, std::string_view(dirty))),
            R"([{"error":"no ?[31m disk??)" + std::string(512 - 15, 'x') + R"(","type":"guest_failed"}])");
}

TEST_F(AgentProtocolTest, WantsAHelloOfItsOwnVersionFirst) {
  EXPECT_EQ(protocol_.feed(ready()).error(), "spoke before its hello");
  protocol_.start_stream();
  EXPECT_EQ(protocol_.feed(hello(wire::kAgentVersion + 1)).error(), "speaks another version");
  protocol_.start_stream();
  EXPECT_EQ(protocol_.feed(wire::encode_frame(FrameType::hello, ByteView())).error(), "a malformed hello");
  EXPECT_FALSE(protocol_.greeted());
}

TEST_F(AgentProtocolTest, HearsEverythingOnceHoweverOftenTheGuestConnects) {
  EXPECT_EQ(after_hello(ready()).front(), '[');
  protocol_.start_stream();
  EXPECT_EQ(after_hello(ready()), "violation: ready twice");
  EXPECT_EQ(after_hello(exited(0, 9)).front(), '[');
  EXPECT_EQ(after_hello(exited(0, 9)), "violation: its workload exited twice");
}

TEST_F(AgentProtocolTest, RefusesWhatTheGuestMayNotSend) {
  EXPECT_EQ(after_hello(hello()), "violation: a frame that is not the guest's to send");
  EXPECT_EQ(after_hello(wire::encode_frame(FrameType::shutdown, ByteView())),
            "violation: a frame that is not the guest's to send");
  EXPECT_EQ(after_hello(wire::encode_frame(FrameType::workload_exited, ByteView())),
            "violation: a malformed exit status");
  EXPECT_EQ(after_hello(wire::encode_frame(FrameType::ready, std::string_view("ip=evil"))),
            "violation: malformed facts");
}

TEST_F(AgentProtocolTest, StopsAtAnOversizedFrame) {
  wire::FrameHeader header;
  header.type = FrameType::failed;
  header.length = static_cast<std::uint32_t>(wire::kMaxFrame + 1);
  EXPECT_EQ(after_hello(Bytes(bytes_of(header).begin(), bytes_of(header).end())), "violation: not a frame");
}

TEST_F(AgentProtocolTest, TakesBytesInAnyPieces) {
  const Bytes whole = ready();
  ASSERT_TRUE(protocol_.feed(hello()));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const auto messages = protocol_.feed(ByteView(whole).subspan(i, 1));
    ASSERT_TRUE(messages);
    EXPECT_EQ(messages->size(), i + 1 == whole.size() ? 1U : 0U);
  }
}

TEST_F(AgentProtocolTest, ReportsOneFailureOnly) {
  EXPECT_TRUE(protocol_.report_violation("this"));
  EXPECT_FALSE(protocol_.report_violation("that"));
}

}  // namespace
}  // namespace microagent::mediator
