#include "mediator/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "dns/resolvers.h"
#include "mediator/host_names.h"
#include "mediator/test_loop.h"
#include "tls/authority.h"
#include "tls/client.h"
#include "tls/server.h"

namespace microagent::mediator {
namespace {

constexpr int kDone = 7;
constexpr std::chrono::milliseconds kPatience{1000};

// What became of a process that entered the sandbox and then did this: kDone, or the negative number of its signal.
int outcome_of(const std::function<void()>& deed) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!enter_sandbox()) ::_exit(1);
    deed();
    ::_exit(kDone);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Sandbox, LeavesWhatTheWorkNeeds) {
  EXPECT_EQ(outcome_of([] {
              if (::socket(AF_INET, SOCK_STREAM, 0) < 0) ::_exit(2);
              if (::socket(AF_INET6, SOCK_DGRAM, 0) < 0) ::_exit(3);
              if (::open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC) < 0) ::_exit(4);
            }),
            kDone);
}

TEST(Sandbox, LooksUpTheNamesOfTheHost) {
  EXPECT_EQ(outcome_of([] {
              if (dns::parse_resolv_conf("nameserver fe80::1%lo").size() != 1) ::_exit(2);
              TestLoop loop;
              if (!loop.result_of(addresses_of_host("localhost", in(std::chrono::seconds(5))))) ::_exit(3);
              // Whether it is found or not, over the network of whoever runs this, it is looked for.
              static_cast<void>(loop.result_of(addresses_of_host("no-such-host.invalid", in(kPatience))));
            }),
            kDone);
}

TEST(Sandbox, LetsTlsBeSpoken) {
  EXPECT_EQ(outcome_of([] {
              auto authority = tls::Authority::make("web");
              auto server = tls::ServerContext::make();
              if (!authority || !server) ::_exit(2);
              auto client = tls::ClientContext::make({{}, {authority->certificate_pem()}});
              if (!client) ::_exit(3);
              const auto leaf = authority->issue("a.example");
              int ends[2];
              if (!leaf || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) ::_exit(4);
              auto near = client->connect(ends[0], {"a.example", "here", {"h2"}});
              auto far = server->accept(ends[1], *leaf, "h2");
              if (!near || !far) ::_exit(5);
              bool done = false;
              for (int i = 0; i < 10 && !done; ++i) {
                const auto ours = near->handshake(), theirs = far->handshake();
                done = ours && theirs;
              }
              if (!done || near->alpn() != "h2") ::_exit(6);
            }),
            kDone);
}

struct Deed {
  const char* name;
  void (*deed)();
};

class ForbiddenDeed : public testing::TestWithParam<Deed> {};

TEST_P(ForbiddenDeed, KillsTheProcess) { EXPECT_EQ(outcome_of(GetParam().deed), -SIGSYS); }

INSTANTIATE_TEST_SUITE_P(
    All, ForbiddenDeed,
    testing::Values(Deed{"RunsAProgram", [] { ::execl("/bin/true", "true", nullptr); }},
                    Deed{"MakesAProcess", [] { static_cast<void>(::fork()); }},
                    Deed{"LooksIntoAnother", [] { ::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr); }},
                    Deed{"SignalsAnother", [] { ::kill(::getppid(), 0); }},
                    Deed{"SeesRawFrames", [] { static_cast<void>(::socket(AF_PACKET, SOCK_RAW, 0)); }},
                    Deed{"Listens", [] { ::listen(::socket(AF_INET, SOCK_STREAM, 0), 1); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace microagent::mediator
