#include "mediator/guest_agent.h"

#include "mediator/test_loop.h"

namespace microagent::mediator {
namespace {

using wire::FrameType;

Bytes hello() { return wire::encode_frame(FrameType::hello, bytes_of(le32(wire::kAgentVersion))); }
Bytes ready() { return wire::encode_frame(FrameType::ready, std::string_view()); }

class GuestAgentTest : public testing::Test {
 protected:
  TestLoop loop_;
  std::vector<nlohmann::json> reports_;
  GuestAgent agent_{loop_.io.get_executor(), true,
                    [this](const nlohmann::json& report) { reports_.push_back(report); }};
};

TEST_F(GuestAgentTest, PassesMessagesOn) {
  const Fd guest = std::move(*agent_.accept());
  put(guest, hello());
  put(guest, ready());
  ASSERT_TRUE(loop_.until([&] { return !reports_.empty(); }));
  EXPECT_EQ(reports_[0]["type"], "guest_ready");
}

TEST_F(GuestAgentTest, TakesOneStreamAtATime) {
  Fd guest = std::move(*agent_.accept());
  const auto second = agent_.accept();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  guest.reset();
  ASSERT_TRUE(loop_.until([&] { return agent_.accept().has_value(); }));
}

Bytes trust(const wire::Trust& trust) { return wire::encode_frame(FrameType::trust, wire::encode_trust(trust)); }

const wire::Trust kTrust{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "0123abcd"};

TEST_F(GuestAgentTest, TellsEveryGuestThatGreetsWhomToTrust) {
  Fd guest = std::move(*agent_.accept());
  EXPECT_EQ(arrived(guest), std::nullopt) << "nobody greeted";
  put(guest, hello());
  ASSERT_TRUE(loop_.until([&] { return arrived(guest) == trust({}); }));
  agent_.trust(kTrust);
  EXPECT_EQ(arrived(guest), trust(kTrust));
  guest.reset();
  Fd again;
  ASSERT_TRUE(loop_.until([&] {
    auto accepted = agent_.accept();
    if (accepted) again = std::move(*accepted);
    return accepted.has_value();
  }));
  put(again, hello());
  ASSERT_TRUE(loop_.until([&] { return arrived(again) == trust(kTrust); }));
}

TEST_F(GuestAgentTest, AsksForTheShutdownAsSoonAsThereIsSomebodyToAsk) {
  agent_.shutdown(std::chrono::seconds(20));
  const Fd guest = std::move(*agent_.accept());
  put(guest, hello());
  wire::FrameReader frames;
  std::optional<wire::FrameReader::Frame> told, asked;
  ASSERT_TRUE(loop_.until([&] {
    if (const auto bytes = arrived(guest)) frames.feed(*bytes);
    if (!told) told = frames.next();
    if (told && !asked) asked = frames.next();
    return asked.has_value();
  }));
  EXPECT_EQ(told->type, FrameType::trust);
  EXPECT_EQ(asked->type, FrameType::shutdown);
  const auto left = wire::parse_number(asked->payload);
  ASSERT_TRUE(left) << "how long it may take, from now on";
  EXPECT_LE(*left, 20'000U);
  EXPECT_GT(*left, 10'000U);
  agent_.shutdown(std::chrono::seconds(0));
  EXPECT_EQ(arrived(guest), wire::encode_frame(FrameType::shutdown, bytes_of(le32(0))));
}

TEST_F(GuestAgentTest, ClosesAStreamThatBreaksTheProtocolAndSaysSoOnce) {
  for (int i = 0; i < 2; ++i) {
    const Fd guest = std::move(*agent_.accept());
    put(guest, ready());
    ASSERT_TRUE(loop_.until([&] { return arrived(guest) == Bytes(); }));
  }
  ASSERT_EQ(reports_.size(), 1U);
  EXPECT_EQ(reports_[0]["type"], "guest_failed");
  EXPECT_EQ(reports_[0]["error"], "the guest agent broke the protocol: spoke before its hello");
}

}  // namespace
}  // namespace microagent::mediator
