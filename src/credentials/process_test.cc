#include "credentials/process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "credentials/client.h"
#include "credentials/test_loop.h"

namespace microagent::credentials {
namespace {

using testing::HasSubstr;

// The whole way: a process of its own, the socket, the client.
class Process : public testing::Test {
 protected:
  Process() {
    MICROAGENT_CHECK(::mkdtemp(directory_) != nullptr);
    file_ = std::string(directory_) + "/secret";
    write("one");
    ProcessSpec spec;
    spec.swaps =
        policy::SwapSet::compile({text("env", "a.example", "env:KEY"), text("file", "b.example", "file:" + file_),
                                  text("none", "c.example", "env:NONE")})
            .value();
    int ends[2];
    MICROAGENT_CHECK(::pipe(ends) == 0);
    constexpr std::string_view kVariables("KEY=s3cret\0", 11);
    MICROAGENT_CHECK(::write(ends[1], kVariables.data(), kVariables.size()) == 11);
    ::close(ends[1]);
    spec.variables = ends[0];
    Fd socket = start_process(spec).value();
    ::close(ends[0]);
    client_ = Client::open(io_.get_executor(), std::move(socket), 3).value();
  }
  ~Process() override {
    client_.reset();
    while (::waitpid(-1, nullptr, 0) > 0) continue;
    std::filesystem::remove_all(directory_);
  }

  static policy::SwapText text(const char* name, const char* domain, const std::string& ref) {
    return {name, "", {{"type", "static"}, {"domains", {domain}}, {"key_ref", ref}}, {}};
  }

  void write(const std::string& content) { std::ofstream(file_) << content << "\n"; }

  std::string obtain(std::size_t swap) {
    const auto credential = run(io_, client_->obtain(swap));
    return credential ? std::string(credential->secret->view()) : "error: " + credential.error().message;
  }

  // Its only child.
  static pid_t child() {
    std::ifstream children(fmt::format("/proc/self/task/{}/children", ::gettid()));
    pid_t pid = -1;
    children >> pid;
    return pid;
  }

  char directory_[32] = "/tmp/process-test-XXXXXX";
  std::string file_;
  asio::io_context io_;
  std::unique_ptr<Client> client_;
};

TEST_F(Process, GivesSecretsToItsClient) {
  EXPECT_EQ(obtain(0), "s3cret");
  EXPECT_EQ(obtain(1), "one");
  EXPECT_EQ(obtain(2), "error: env:NONE: the variable NONE was not set when the workspace was started");
  ASSERT_TRUE(client_->at_hand(0));
  EXPECT_EQ(client_->at_hand(0)->secret->view(), "s3cret");
  EXPECT_FALSE(client_->at_hand(2));
}

TEST_F(Process, SeesThatAFileHasChanged) {
  EXPECT_EQ(obtain(1), "one");
  write("two");
  // It says itself for how long nobody need ask.
  asio::steady_timer timer(io_, client_->at_hand(1)->fresh);
  timer.wait();
  EXPECT_EQ(obtain(1), "two");
}

TEST_F(Process, ReadsAgainWhatWasRefused) {
  EXPECT_EQ(obtain(0), "s3cret");
  const auto version = client_->at_hand(0)->version;
  client_->refuse(0, version + 1);
  EXPECT_TRUE(client_->at_hand(0));
  client_->refuse(0, version);
  EXPECT_FALSE(client_->at_hand(0));
  EXPECT_EQ(obtain(0), "s3cret");
}

TEST_F(Process, HasANameOfItsOwn) {
  EXPECT_EQ(obtain(0), "s3cret");
  std::ifstream name(fmt::format("/proc/{}/comm", child()));
  std::string word;
  name >> word;
  EXPECT_EQ(word, "credentials");
}

// Of a process that may not be dumped, all that is in /proc belongs to root (proc(5)).
TEST_F(Process, HidesItsMemory) {
  if (::getuid() == 0) GTEST_SKIP() << "root may read everything";
  EXPECT_EQ(obtain(0), "s3cret");
  EXPECT_FALSE(std::ifstream(fmt::format("/proc/{}/environ", child())).good());
}

TEST_F(Process, IsMissedWhenItIsGone) {
  EXPECT_EQ(obtain(1), "one");
  ASSERT_EQ(::kill(child(), SIGKILL), 0);
  EXPECT_THAT(obtain(2), HasSubstr("the process that holds the credentials has ended"));
  EXPECT_THAT(obtain(2), HasSubstr("has ended"));
}

TEST_F(Process, EndsWithItsClient) {
  EXPECT_EQ(obtain(0), "s3cret");
  const pid_t pid = child();
  ASSERT_GT(pid, 0);
  client_.reset();
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace microagent::credentials
