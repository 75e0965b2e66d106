#pragma once

#include <csignal>
#include <initializer_list>
#include <optional>

#include "base/fd.h"

namespace microagent::cli {

// Turns signals into something to poll, for as long as it lives. Watches may be nested: the inner one takes what comes.
class SignalWatch {
 public:
  explicit SignalWatch(std::initializer_list<int> numbers);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  int fd() const { return fd_.get(); }
  // The next one, where one has come.
  std::optional<int> take() const;

 private:
  sigset_t before_{};
  Fd fd_;
};

// The signals by which a person, a terminal or a service manager asks a program to end.
inline constexpr std::initializer_list<int> kEndingSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

}  // namespace microagent::cli
