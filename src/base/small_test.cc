// What is too small for a test of its own.

#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <thread>

#include "base/digest.h"
#include "base/last_line.h"
#include "base/pipe.h"
#include "base/write_all.h"

namespace microagent {
namespace {

TEST(Digest, IsSha256AndSixtyFourDigits) {
  const std::string digits(64, 'a');
  EXPECT_TRUE(is_sha256_digits(digits));
  EXPECT_EQ(digits_of_digest("sha256:" + digits), digits);
  for (const std::string& bad : {digits, "sha256:" + digits + "0", "sha256:" + digits.substr(1), "sha512:" + digits,
                                 "sha256:" + std::string(64, 'A'), "sha256:../" + digits.substr(3), std::string()}) {
    EXPECT_FALSE(digits_of_digest(bad)) << bad;
  }
}

TEST(LastLine, IsTheLastThatSaysSomething) {
  EXPECT_EQ(last_line("one\ntwo\n\n"), "two");
  EXPECT_EQ(last_line("one"), "one");
  EXPECT_EQ(last_line("\n\n"), "");
  EXPECT_EQ(last_line(""), "");
}

TEST(WriteAll, WritesMoreThanAPipeHolds) {
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  const std::string sent(1'000'000, 'x');
  std::string got;
  {
    const std::jthread reader([&] {
      std::array<char, 4096> chunk;
      for (ssize_t count; (count = ::read(pipe->read.get(), chunk.data(), chunk.size())) > 0;) {
        got.append(chunk.data(), static_cast<std::size_t>(count));
      }
    });
    EXPECT_EQ(write_all(pipe->write.get(), sent), 0);
    pipe->write.reset();
  }
  EXPECT_TRUE(got == sent);
}

TEST(WriteAll, TellsWhyItCannot) {
  ::signal(SIGPIPE, SIG_IGN);
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  pipe->read.reset();
  EXPECT_EQ(write_all(pipe->write.get(), "x"), EPIPE);
  EXPECT_EQ(write_all(-1, "x"), EBADF);
}

}  // namespace
}  // namespace microagent
