#pragma once

#include <sys/types.h>

#include <optional>

#include "flow/channel.h"
#include "virtio/testing/front_end.h"

namespace microagent::netd::testing {

// The real program with a test in the places of supervisor, mediator and VMM.
class NetdProcess {
 public:
  static constexpr std::uint64_t kCid = 5;

  explicit NetdProcess(const char* program);
  ~NetdProcess();
  NetdProcess(const NetdProcess&) = delete;
  NetdProcess& operator=(const NetdProcess&) = delete;

  flow::Channel& supervisor() { return *supervisor_; }
  flow::Channel& mediator() { return *mediator_; }
  void hang_up_supervisor() { supervisor_.reset(); }
  void hang_up_mediator() { mediator_.reset(); }

  // The next message on a channel; nothing when none comes within some seconds or the channel ended.
  static std::optional<flow::Message> next(flow::Channel& channel);

  bool configure();
  // Makes a connection and passes its other end to netd.
  virtio::testing::FrontEnd attach(flow::Device device);

  // Waits for netd to end: its exit code, or minus the signal that killed it; nothing when it goes on.
  std::optional<int> wait_for_end();
  bool alive();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  Fd pid_fd_;
  std::optional<flow::Channel> supervisor_, mediator_;
};

}  // namespace microagent::netd::testing
