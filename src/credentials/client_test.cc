#include "credentials/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "credentials/protocol.h"
#include "credentials/test_loop.h"

namespace microagent::credentials {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Asks a process that the test plays.
class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    std::array<int, 2> ends{};
    MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    process_ = watch(io_.get_executor(), Fd(ends[0])).value();
    client_ = Client::open(io_.get_executor(), Fd(ends[1]), 2, kPatience).value();
  }
  ~ClientTest() override {
    client_.reset();
    settle();
  }

  void ask(std::size_t swap) {
    asio::co_spawn(io_, client_->obtain(swap), [this](const std::exception_ptr&, Result<Credential> got) {
      answers_.push_back(got ? std::string(got->secret->view()) : "error: " + got.error().message);
    });
    settle();
  }

  void answer(std::size_t swap, const Result<Credential>& credential) {
    const Secret packet = encode_answer(static_cast<std::uint32_t>(swap), credential);
    ASSERT_TRUE(run(io_, write_all(process_, text_bytes(packet.view()), kNever)));
    settle();
  }
  static Credential credential(std::string_view text, milliseconds fresh, std::uint64_t version = 1) {
    return {std::make_shared<const Secret>(Secret::of(text)), version, fresh};
  }

  // What the client has asked, one after the other.
  std::optional<Ask> next_ask() {
    std::array<std::uint8_t, sizeof(Ask) + 1> packet{};
    const auto size = ::recv(process_.native_handle(), packet.data(), packet.size(), MSG_DONTWAIT);
    return size < 0 ? std::nullopt : parse_ask(ByteView(packet).first(static_cast<std::size_t>(size)));
  }

  // Lets everything run that can.
  void settle() {
    io_.restart();
    while (io_.poll_one() > 0) {
    }
  }

  static constexpr milliseconds kPatience{200};
  asio::io_context io_;
  Descriptor process_{io_};
  std::unique_ptr<Client> client_;
  std::vector<std::string> answers_;
};

TEST_F(ClientTest, AsksOnceForAllWhoWait) {
  for (int i = 0; i < 500; ++i) ask(0);
  const auto asked = next_ask();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->swap, 0u);
  EXPECT_FALSE(next_ask());
  answer(0, credential("secret", milliseconds(60'000)));
  EXPECT_EQ(answers_, std::vector<std::string>(500, "secret"));
  ask(0);
  EXPECT_EQ(answers_.size(), 501u);
  EXPECT_FALSE(next_ask());
}

TEST_F(ClientTest, AsksAgainForWhatIsUsedUpAsItComes) {
  ask(0);
  answer(0, credential("once", milliseconds(0)));
  EXPECT_EQ(answers_, std::vector<std::string>{"once"});
  EXPECT_TRUE(next_ask());
  EXPECT_FALSE(client_->at_hand(0));
  ask(0);
  EXPECT_TRUE(next_ask());
}

TEST_F(ClientTest, SaysWhichOneWasRefused) {
  ask(0);
  answer(0, credential("first", milliseconds(60'000), 7));
  ASSERT_TRUE(next_ask());
  client_->refuse(0, 6);  // an older one
  EXPECT_TRUE(client_->at_hand(0));
  client_->refuse(0, 7);
  EXPECT_FALSE(client_->at_hand(0));
  ask(0);
  const auto asked = next_ask();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->refused, 7u);
}

TEST_F(ClientTest, OneThatTakesTooLongKeepsNoOtherWaiting) {
  ask(0);
  const auto limit = Clock::now() + std::chrono::seconds(30);
  while (answers_.empty() && Clock::now() < limit) io_.run_one_for(milliseconds(100));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0], HasSubstr("too long"));
  ask(1);
  answer(1, credential("other", milliseconds(60'000)));
  EXPECT_EQ(answers_.back(), "other");
  // It comes after all, and is there for who asks next.
  answer(0, credential("late", milliseconds(60'000)));
  ask(0);
  EXPECT_EQ(answers_.back(), "late");
}

TEST_F(ClientTest, KeepsWhatComesWhenNobodyWaitsAnyMore) {
  asio::steady_timer leave(io_, milliseconds(0));
  using namespace asio::experimental::awaitable_operators;
  const auto given_up = [&]() -> asio::awaitable<bool> {
    co_return (co_await (client_->obtain(0) || leave.async_wait(kAsTuple))).index() == 1;
  };
  EXPECT_TRUE(run(io_, given_up()));
  ASSERT_TRUE(next_ask());
  answer(0, credential("secret", milliseconds(60'000)));
  ASSERT_TRUE(client_->at_hand(0));
  EXPECT_EQ(client_->at_hand(0)->secret->view(), "secret");
}

TEST_F(ClientTest, FailsAllWhenTheProcessHasEnded) {
  ask(0);
  ask(1);
  boost::system::error_code ignored;
  process_.close(ignored);
  settle();
  ask(0);
  ASSERT_EQ(answers_.size(), 3u);
  for (const std::string& text : answers_) EXPECT_THAT(text, HasSubstr("has ended"));
}

}  // namespace
}  // namespace microagent::credentials
