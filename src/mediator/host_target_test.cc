#include "mediator/host_target.h"

#include <sys/un.h>

#include "mediator/test_directory.h"
#include "mediator/test_loop.h"

namespace microagent::mediator {
namespace {

constexpr std::chrono::milliseconds kPatience{3000};

class HostTargetTest : public testing::Test {
 protected:
  std::string failure(const HostTarget& target, Delivery delivery = Delivery::stream,
                      std::chrono::milliseconds patience = kPatience) {
    const auto dialled = loop_.result_of(dial_host(target, delivery, in(patience)));
    return dialled ? "reached" : dialled.error().text;
  }

  std::string path() const { return (directory_.audit_file().parent_path() / "plane.sock").string(); }
  Fd listen_unix(int type, int backlog) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    Fd listener(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener.get(), backlog), 0);
    return listener;
  }

  TestDirectory directory_;
  TestLoop loop_;
};

TEST_F(HostTargetTest, ReachesAnAddress) {
  const LoopbackSocket server(SOCK_STREAM);
  EXPECT_EQ(failure({"127.0.0.1", server.port(), {}}), "reached");
  EXPECT_TRUE(server.accept());
}

TEST_F(HostTargetTest, ReachesAName) {
  const LoopbackSocket server(SOCK_STREAM);
  EXPECT_EQ(failure({"localhost", server.port(), {}}), "reached");
  EXPECT_TRUE(server.accept());
}

TEST_F(HostTargetTest, ReachesAUnixSocket) {
  const Fd listener = listen_unix(SOCK_STREAM, 4);
  EXPECT_EQ(failure({{}, 0, path()}), "reached");
  EXPECT_EQ(failure({{}, 0, path()}, Delivery::packets), "Protocol wrong type for socket");
}

TEST_F(HostTargetTest, ReachesAUnixSocketThatKeepsMessagesApart) {
  const Fd listener = listen_unix(SOCK_SEQPACKET, 4);
  EXPECT_EQ(failure({{}, 0, path()}, Delivery::packets), "reached");
  const LoopbackSocket server(SOCK_STREAM);
  EXPECT_EQ(failure({"127.0.0.1", server.port(), {}}, Delivery::packets), "a TCP target does not keep messages apart");
  EXPECT_FALSE(server.accept());
}

TEST_F(HostTargetTest, SaysWhyItCannotBeReached) {
  const LoopbackSocket closed(SOCK_STREAM, 0, false);
  EXPECT_EQ(failure({"127.0.0.1", closed.port(), {}}), "Connection refused");
  EXPECT_EQ(failure({{}, 0, path()}), "No such file or directory");
  EXPECT_EQ(failure({{}, 0, std::string(200, 'x')}), "the path of its socket is too long");
  EXPECT_NE(failure({"no-such-host.invalid", 80, {}}).find("its name is not resolved"), std::string::npos);
}

TEST_F(HostTargetTest, WaitsForAPlaceInAFullQueueUntilItsDeadline) {
  const Fd listener = listen_unix(SOCK_STREAM, 0);
  EXPECT_EQ(failure({{}, 0, path()}), "reached") << "the queue holds one";
  EXPECT_EQ(failure({{}, 0, path()}, Delivery::stream, std::chrono::milliseconds(100)),
            "its queue of connections stays full");
}

}  // namespace
}  // namespace microagent::mediator
