#include "init/exec_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "init/testing/exec_host.h"
#include "init/text.h"

namespace microagent::init {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using wire::FrameType;
using Host = init::testing::ExecHost;

class ExecSessionTest : public ::testing::Test {
 protected:
  // Orphans come to us, as they do to a PID 1.
  static void SetUpTestSuite() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  static void TearDownTestSuite() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }

  // A process whose end a test waits for; nothing where it is over, and its parent knows.
  static Fd watch_process(const std::string& pid) {
    return Fd(static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(pid), 0)));
  }
  bool ends(const Fd& process) {
    if (!process) return true;
    bool over = false;
    MICROAGENT_CHECK(guest_.loop.watch(process.get(), EPOLLIN, [&](std::uint32_t) { over = true; }).has_value());
    const bool result = guest_.until([&] { return over; });
    guest_.loop.forget(process.get());
    return result;
  }
  static bool lives(const Fd& process) {
    pollfd polled{process.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 0;
  }
  static std::string first_line(const std::string& text) { return text.substr(0, text.find_first_of("\r\n")); }

  wire::ExecRequest on_terminal(const std::string& script) {
    wire::ExecRequest request;
    request.argv = {"sh", "-c", script};
    request.terminal = true;
    request.rows = 33;
    request.columns = 77;
    return request;
  }

  init::testing::ExecGuest guest_;
};

TEST_F(ExecSessionTest, KeepsOutputErrorsAndExitCodeApart) {
  Host host(guest_);
  host.shell("echo out; echo err >&2; exit 7");
  EXPECT_EQ(host.wait(), "exit 7");
  EXPECT_EQ(host.output, "out\n");
  EXPECT_EQ(host.error_output, "err\n");
}

TEST_F(ExecSessionTest, PassesWordsAsTheyAre) {
  Host host(guest_);
  host.exec({"printf", "%s|", "a b", "", "$HOME", "*", "\n\t\xff"});
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_EQ(host.output, "a b||$HOME|*|\n\t\xff|");
}

TEST_F(ExecSessionTest, AddsToTheWorkspacesEnvironment) {
  Host host(guest_);
  wire::ExecRequest request;
  request.argv = {"sh", "-c", "echo $FROM $OWN $HOME; pwd"};
  request.env = {"OWN=mine", "HOME=/elsewhere"};
  request.workdir = "/usr/bin";
  host.exec(request);
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_EQ(host.output, "workspace mine /elsewhere\n/usr/bin\n");
}

TEST_F(ExecSessionTest, LooksWordsUpInTheCommandsOwnPath) {
  wire::ExecRequest request;
  request.argv = {"sh", "-c", "true"};
  request.env = {"PATH=/nowhere"};
  Host host(guest_);
  host.exec(request);
  EXPECT_EQ(host.wait(), "failed 127 cannot run sh: No such file or directory");
}

TEST_F(ExecSessionTest, TellsWhyACommandDidNotBegin) {
  const auto ending_of = [&](wire::ExecRequest request) {
    Host host(guest_);
    host.exec(request);
    return host.wait();
  };
  wire::ExecRequest request;
  request.argv = {"no-such-command"};
  EXPECT_EQ(ending_of(request), "failed 127 cannot run no-such-command: No such file or directory");
  request.argv = {"/etc/passwd"};
  EXPECT_EQ(ending_of(request), "failed 126 cannot run /etc/passwd: Permission denied");
  request.argv = {"/"};
  EXPECT_EQ(ending_of(request), "failed 126 cannot run /: Permission denied");
  request.argv = {""};
  EXPECT_EQ(ending_of(request), "failed 127 cannot run : No such file or directory");
  request.argv = {"true"};
  request.workdir = "/none";
  EXPECT_EQ(ending_of(request), "failed 126 cannot enter the directory /none: No such file or directory");
}

TEST_F(ExecSessionTest, RunsAsAnotherUserWhereThatIsAskedFor) {
  wire::ExecRequest request;
  request.argv = {"true"};
  request.user = "nobody-here";
  Host stranger(guest_);
  stranger.exec(request);
  EXPECT_EQ(stranger.wait(), "failed 126 there is no user nobody-here in the guest");
  request.argv = {"sh", "-c", "id -u; id -g; echo $HOME $USER"};
  request.user = std::to_string(::getuid()) + ":" + std::to_string(::getgid());
  Host host(guest_);
  host.exec(request);
  // Becoming somebody needs to be root, even where it is oneself.
  if (::getuid() != 0) EXPECT_THAT(host.wait(), ::testing::HasSubstr("cannot become the user"));
  else EXPECT_EQ(host.wait() + " " + host.output, "exit 0 0\n0\n/root root\n");
}

// As with docker: a home that the image or the workspace names is everybody's.
TEST_F(ExecSessionTest, AnotherUserHasTheHomeThatWasDeclared) {
  if (::getuid() != 0) GTEST_SKIP() << "becoming somebody needs to be root";
  guest_.chosen = {"HOME=/app"};
  wire::ExecRequest request;
  request.argv = {"sh", "-c", "echo $HOME $USER"};
  request.user = "root";
  Host host(guest_);
  host.exec(request);
  EXPECT_EQ(host.wait() + " " + host.output, "exit 0 /app root\n");
}

TEST_F(ExecSessionTest, GivesACommandNothingButItsStreams) {
  Host host(guest_);
  host.exec({"ls", "/proc/self/fd"});
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_EQ(host.output, "0\n1\n2\n3\n");  // 3 is the directory
}

TEST_F(ExecSessionTest, UndoesWhatInitDidToSignals) {
  Host host(guest_);
  host.shell("grep -E 'Sig(Blk|Ign)' /proc/self/status");
  EXPECT_EQ(host.wait(), "exit 0");
  unsigned long blocked = 0;
  unsigned long ignored = 0;
  ASSERT_EQ(std::sscanf(host.output.c_str(), "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2) << host.output;
  EXPECT_EQ(blocked, 0U);
  // Signals 32 and 33 are the C library's own: it changes them for nobody, so they stay as this test was given them.
  constexpr unsigned long kOfTheLibrary = 3UL << 31;
  EXPECT_EQ(ignored & ~kOfTheLibrary, 0U);
}

TEST_F(ExecSessionTest, CarriesInputToItsEnd) {
  Host host(guest_);
  host.exec({"cat"});
  host.say(FrameType::input, "one ");
  host.say(FrameType::input, "two");
  ASSERT_TRUE(host.wait_for_output("one two"));
  EXPECT_EQ(host.ending(), "");
  host.say(FrameType::input_end);
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_EQ(host.output, "one two");
  EXPECT_EQ(host.taken, 7U);
}

TEST_F(ExecSessionTest, LosesNothingOfALongOutputsEnd) {
  constexpr std::size_t kSize = 3'000'000;
  Host host(guest_);
  host.shell(concat("head -c ", kSize, " /dev/zero; echo end"));
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_EQ(host.output.size(), kSize + 4);
  EXPECT_THAT(host.output, EndsWith("end\n"));
}

TEST_F(ExecSessionTest, SendsSignalsToTheWholeGroup) {
  Host host(guest_);
  host.shell("sleep 1000 & echo $!; wait");
  ASSERT_TRUE(host.wait_for_output("\n"));
  const Fd child = watch_process(first_line(host.output));
  host.signal(SIGTERM);
  EXPECT_EQ(host.wait(), "signal 15");
  EXPECT_TRUE(ends(child));
}

TEST_F(ExecSessionTest, KillsEverythingWhenTheHostLeaves) {
  Host host(guest_);
  host.shell("sleep 1000 & echo $!; set -m; sleep 1000 & echo $!; echo $$; wait");  // the second in a group of its own
  ASSERT_TRUE(guest_.until([&] { return std::ranges::count(host.output, '\n') == 3; }));
  std::istringstream pids(host.output);
  std::vector<Fd> processes;
  for (std::string pid; pids >> pid;) processes.push_back(watch_process(pid));
  host.close();
  for (const Fd& process : processes) EXPECT_TRUE(ends(process));
  EXPECT_EQ(guest_.service.sessions(), 0U);
}

TEST_F(ExecSessionTest, KillsACommandThatReadsNoInputWhenTheHostLeaves) {
  Host host(guest_);
  host.shell("echo $$; exec sleep 1000");
  ASSERT_TRUE(host.wait_for_output("\n"));
  const Fd process = watch_process(first_line(host.output));
  const std::string piece(32 * 1024, 'x');
  while (true) {
    const auto frame = wire::encode_frame(FrameType::input, piece);
    if (::send(host.fd(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL) !=
        static_cast<ssize_t>(frame.size())) {
      break;
    }
  }
  host.close();
  EXPECT_TRUE(ends(process));
}

TEST_F(ExecSessionTest, EndsWithTheCommandThoughADaemonHoldsItsOutput) {
  Host host(guest_);
  host.shell("sleep 1000 & echo $!");
  EXPECT_EQ(host.wait(), "exit 0");
  const Fd daemon = watch_process(first_line(host.output));
  EXPECT_TRUE(lives(daemon));
  ::kill(std::stoi(host.output), SIGKILL);
  EXPECT_TRUE(ends(daemon));
}

TEST_F(ExecSessionTest, EndsWithTheCommandThoughWhatItLeavesWritesForEver) {
  Host host(guest_);
  host.shell("yes & echo $! >&2");
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_LE(host.output.size(), 4U * 1024 * 1024);
  EXPECT_TRUE(ends(watch_process(first_line(host.error_output))));  // by SIGPIPE
}

TEST_F(ExecSessionTest, ASignalOvertakesInputThatNobodyReads) {
  Host host(guest_);
  host.exec({"sleep", "1000"});
  const std::string piece(16 * 1024, 'x');
  for (std::size_t sent = 0; sent + piece.size() <= wire::kInputWindow; sent += piece.size()) {
    host.say(FrameType::input, piece);
  }
  host.signal(SIGINT);
  EXPECT_EQ(host.wait(), "signal 2");
}

TEST_F(ExecSessionTest, TellsOfAllInputThatWasTaken) {
  constexpr std::size_t kPieces = 64;
  const std::string piece(32 * 1024, 'x');
  Host host(guest_);
  host.exec({"wc", "-c"});
  for (std::size_t i = 0; i < kPieces; ++i) {
    ASSERT_TRUE(guest_.until([&] { return i * piece.size() - host.taken <= wire::kInputWindow - piece.size(); }));
    host.say(FrameType::input, piece);
  }
  host.say(FrameType::input_end);
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_EQ(std::stoul(host.output), kPieces * piece.size());
  EXPECT_EQ(host.taken, kPieces * piece.size());
}

TEST_F(ExecSessionTest, TakesInputForACommandThatHasClosedIt) {
  Host host(guest_);
  host.shell("exec <&-; echo closed; sleep 1000");
  ASSERT_TRUE(host.wait_for_output("closed"));
  const std::string piece(32 * 1024, 'x');
  for (std::size_t i = 0; i < 32; ++i) {
    host.say(FrameType::input, piece);
    ASSERT_TRUE(guest_.until([&] { return host.taken == (i + 1) * piece.size(); }));
  }
  host.signal(SIGKILL);
  EXPECT_EQ(host.wait(), "signal 9");
}

// The memory that holds what a slow host does not take is one frame's.
TEST_F(ExecSessionTest, DoesNotGrowWithOutputThatNobodyTakes) {
  const auto resident_pages = [] {
    long size = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident;
  };
  constexpr std::size_t kSize = 256 * 1024 * 1024;
  Host host(guest_);
  host.keep = false;
  host.listen(false);
  host.shell(concat("head -c ", kSize, " /dev/zero"));
  const long before = resident_pages();
  for (int i = 0; i < 20; ++i) {
    bool over = false;
    guest_.loop.after(std::chrono::milliseconds(5), [&] { over = true; });
    guest_.until([&] { return over; });
  }
  EXPECT_LT((resident_pages() - before) * ::sysconf(_SC_PAGESIZE), 4 * 1024 * 1024);
  host.listen(true);
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_EQ(host.received, kSize);
  EXPECT_LT((resident_pages() - before) * ::sysconf(_SC_PAGESIZE), 4 * 1024 * 1024);
}

TEST_F(ExecSessionTest, ServesManyAtOnce) {
  std::vector<std::unique_ptr<Host>> hosts;
  for (int i = 0; i < 100; ++i) {
    hosts.push_back(std::make_unique<Host>(guest_));
    hosts.back()->shell(concat("cat; exit ", i));
  }
  for (std::size_t i = 0; i < hosts.size(); ++i) hosts[i]->say(FrameType::input, concat("number ", i));
  for (std::size_t i = 0; i < hosts.size(); ++i) ASSERT_TRUE(hosts[i]->wait_for_output(concat("number ", i)));
  EXPECT_EQ(guest_.service.sessions(), hosts.size());
  for (std::size_t i = 0; i < hosts.size(); ++i) hosts[i]->say(FrameType::input_end);
  for (std::size_t i = 0; i < hosts.size(); ++i) EXPECT_EQ(hosts[i]->wait(), concat("exit ", i));
}

TEST_F(ExecSessionTest, LeavesNoDescriptorBehind) {
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator{});
  };
  const auto before = open_files();
  for (int i = 0; i < 5; ++i) {
    Host host(guest_);
    if (i == 0) host.shell("true");
    if (i == 1) host.exec({"none"});
    if (i == 2) host.exec(on_terminal("true"));
    if (i == 3) host.say(FrameType::input, "nonsense");
    if (i == 4) {
      host.exec({"sleep", "1000"});
      host.close();
      continue;
    }
    EXPECT_NE(host.wait(), "");
  }
  ASSERT_TRUE(guest_.until([&] { return guest_.service.sessions() == 0; }));
  EXPECT_EQ(open_files(), before);
}

TEST_F(ExecSessionTest, HangsUpOnNonsense) {
  const auto ending_of = [&](auto speak) {
    Host host(guest_);
    speak(host);
    return host.wait();
  };
  EXPECT_EQ(ending_of([](Host& host) { host.say(FrameType::input, "too early"); }), "hung up");
  EXPECT_EQ(ending_of([](Host& host) { host.say(FrameType::exec, "no request"); }), "hung up");
  EXPECT_EQ(ending_of([](Host& host) { host.say(FrameType::put, "relative/path"); }), "hung up");
  EXPECT_EQ(ending_of([](Host& host) { host.send({99, 0, 0, 0, 0, 0, 0, 0}); }), "hung up");
  for (const std::uint32_t number : {0U, 65U, 0xffffffffU}) {
    EXPECT_EQ(ending_of([&](Host& host) {
                host.exec({"sleep", "1000"});
                host.signal(number);
              }),
              "hung up");
  }
  EXPECT_EQ(ending_of([](Host& host) {
              host.exec({"sleep", "1000"});
              host.exec({"sleep", "1000"});
            }),
            "hung up");
}

TEST_F(ExecSessionTest, GivesARealTerminal) {
  Host host(guest_);
  host.exec(on_terminal("tty; stty size; echo $TERM; echo error >&2; test -t 0 && test -t 1 && test -t 2"));
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_THAT(host.output, StartsWith("/dev/pts/"));
  EXPECT_THAT(host.output, HasSubstr("\r\n33 77\r\nxterm\r\nerror\r\n"));
  EXPECT_EQ(host.error_output, "");
}

TEST_F(ExecSessionTest, InterruptsByTheTerminalsKey) {
  Host host(guest_);
  host.exec(on_terminal("trap 'echo caught; exit 5' INT; echo ready; sleep 1000 & wait"));
  ASSERT_TRUE(host.wait_for_output("ready"));
  host.say(FrameType::input, "\x03");
  EXPECT_EQ(host.wait(), "exit 5");
  EXPECT_THAT(host.output, HasSubstr("caught"));
}

TEST_F(ExecSessionTest, ResizesTheTerminal) {
  Host host(guest_);
  host.exec(on_terminal("trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 1000 & wait; done"));
  ASSERT_TRUE(host.wait_for_output("ready"));
  host.send(wire::encode_frame(FrameType::resize, bytes_of(wire::TerminalSize{50, 132})));
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_THAT(host.output, HasSubstr("50 132"));
}

TEST_F(ExecSessionTest, EndsATerminalsInputAsAPersonWould) {
  Host host(guest_);
  host.exec(on_terminal("cat; echo over"));
  host.say(FrameType::input, "line\n");
  host.say(FrameType::input_end);
  EXPECT_EQ(host.wait(), "exit 0");
  EXPECT_THAT(host.output, EndsWith("over\r\n"));
}

TEST_F(ExecSessionTest, HangsTheTerminalUpWhenTheGuestShutsDown) {
  Host host(guest_);
  host.exec(on_terminal("trap '' TERM; echo ready; cat"));
  ASSERT_TRUE(host.wait_for_output("ready"));
  guest_.service.shut_down();
  EXPECT_EQ(host.wait(), "signal 1");
}

class CopyTest : public ExecSessionTest {
 protected:
  CopyTest() {
    std::string pattern = ::testing::TempDir() + "copyXXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~CopyTest() override { std::filesystem::remove_all(root_); }

  std::vector<std::uint8_t> frame(FrameType type, const std::filesystem::path& path) {
    return wire::encode_frame(type, ByteView(*wire::encode_copy({path.string()})));
  }

  std::filesystem::path root_;
};

TEST_F(CopyTest, CarriesATreeOutAndIn) {
  std::filesystem::create_directories(root_ / "src/deep");
  const std::string content(500'000, 'c');
  std::ofstream(root_ / "src/deep/file") << content;
  Host out(guest_);
  out.send(frame(FrameType::get, root_ / "src"));
  ASSERT_EQ(out.wait(), "exit 0");

  Host in(guest_);
  in.send(frame(FrameType::put, root_ / "copy"));
  constexpr std::size_t kPiece = 32 * 1024;
  for (std::size_t at = 0; at < out.output.size(); at += kPiece) {
    ASSERT_TRUE(guest_.until([&] { return at - in.taken <= wire::kInputWindow - kPiece; }));
    in.say(FrameType::input, std::string_view(out.output).substr(at, kPiece));
  }
  in.say(FrameType::input_end);
  EXPECT_EQ(in.wait(), "exit 0");
  EXPECT_EQ(in.error_output, "");
  std::ifstream copy(root_ / "copy/deep/file");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(copy), {}), content);
}

TEST_F(CopyTest, SaysWhatWentWrong) {
  Host out(guest_);
  out.send(frame(FrameType::get, root_ / "none"));
  EXPECT_EQ(out.wait(), "exit 1");
  EXPECT_EQ(out.error_output, concat("cannot open ", (root_ / "none").string(), ": No such file or directory\n"));
  Host in(guest_);
  in.send(frame(FrameType::put, root_ / "copy"));
  in.say(FrameType::input, std::string(512, 'x'));
  EXPECT_EQ(in.wait(), "exit 1");
  EXPECT_EQ(in.error_output, "no proper tar archive: a header's checksum is wrong\n");
}

}  // namespace
}  // namespace microagent::init
