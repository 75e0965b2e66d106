#include "cli/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <array>

#include "base/fd.h"

namespace microagent::cli {
namespace {

class TerminalTest : public testing::Test {
 protected:
  TerminalTest() {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = 80;
    int master = -1, slave = -1;
    EXPECT_EQ(::openpty(&master, &slave, nullptr, nullptr, &size), 0);
    master_.reset(master);
    slave_.reset(slave);
  }

  bool echoes() const {
    termios settings{};
    EXPECT_EQ(::tcgetattr(slave_.get(), &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
  }

  Fd master_, slave_;
};

TEST_F(TerminalTest, HasASize) {
  const auto size = terminal_size(slave_.get());
  ASSERT_TRUE(size);
  EXPECT_EQ(size->rows, 24);
  EXPECT_EQ(size->columns, 80);
  EXPECT_FALSE(terminal_size(-1));
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(terminal_size(null.get()));
}

TEST_F(TerminalTest, ASizeOfNothingIsNone) {
  const winsize nothing{};
  ASSERT_EQ(::ioctl(slave_.get(), TIOCSWINSZ, &nothing), 0);
  EXPECT_FALSE(terminal_size(slave_.get()));
}

TEST_F(TerminalTest, IsRawForAsLongAsItIsHeld) {
  ASSERT_TRUE(echoes());
  {
    auto raw = RawTerminal::enter(slave_.get());
    ASSERT_TRUE(raw);
    EXPECT_FALSE(echoes());
    // Ctrl-C is a byte like any other, and the end of a line is not waited for.
    ASSERT_EQ(::write(master_.get(), "\003", 1), 1);
    std::array<char, 8> read{};
    ASSERT_EQ(::read(slave_.get(), read.data(), read.size()), 1);
    EXPECT_EQ(read[0], '\003');
    const RawTerminal moved = std::move(*raw);
    EXPECT_FALSE(echoes());
  }
  EXPECT_TRUE(echoes());
}

TEST_F(TerminalTest, LeavesWhatIsNoTerminalAlone) {
  EXPECT_TRUE(RawTerminal::enter(-1));
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(RawTerminal::enter(null.get()));
}

}  // namespace
}  // namespace microagent::cli
