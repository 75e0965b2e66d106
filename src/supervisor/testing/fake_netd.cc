// Stands in for netd in the supervisor's tests. A flow it is asked to carry to the guest is answered with one line that
// names protocol, port and first datagram, and ended. A `kill` from the mediator is passed to the fake QEMU as a byte
// over the vsock front end: the flow's number, which is a letter.

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "flow/channel.h"

namespace microagent {
namespace {

class FakeNetd {
 public:
  FakeNetd(int supervisor, int mediator) : supervisor_(Fd(supervisor)), mediator_(Fd(mediator)) {}

  int run() {
    static_cast<void>(supervisor_.send(0, flow::Ready{}));
    for (;;) {
      pollfd sources[] = {{supervisor_.fd(), POLLIN, 0}, {mediator_.fd(), POLLIN, 0}};
      ::poll(sources, 2, -1);
      if (!drain(supervisor_) || !drain(mediator_)) return 0;
    }
  }

 private:
  bool drain(flow::Channel& peer) {
    flow::Message message;
    flow::Receive received = flow::Receive::message;
    while ((received = peer.receive(message)) == flow::Receive::message) on_message(message);
    return received == flow::Receive::would_block;
  }

  void on_message(flow::Message& message) {
    if (const auto attach = message.as<flow::Attach>()) {
      (attach->device == flow::Device::vsock ? vsock_ : net_) = std::move(message.fd);
    }
    if (message.as<flow::Kill>()) letters_.push_back(static_cast<char>(message.header.flow));
    if (vsock_ && ::write(vsock_.get(), letters_.data(), letters_.size()) >= 0) letters_.clear();
    const auto dial = message.as<flow::Dial>();
    if (!dial) return;
    const std::string_view first(reinterpret_cast<const char*>(message.trailing.data()), message.trailing.size());
    const std::string line =
        fmt::format("protocol {} port {} first \"{}\"\n", static_cast<int>(dial->protocol), dial->guest_port, first);
    ::send(message.fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
    message.fd.reset();
    flow::Closed closed;
    closed.end = flow::End::finished;
    static_cast<void>(supervisor_.send(message.header.flow, closed));
  }

  flow::Channel supervisor_, mediator_;
  Fd net_, vsock_;
  std::string letters_;  // for a QEMU that has not come yet
};

}  // namespace
}  // namespace microagent

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  return microagent::FakeNetd(std::atoi(argv[2]), std::atoi(argv[4])).run();
}
