#pragma once

#include <set>

#include "base/fd.h"
#include "base/result.h"
#include "policy/address.h"

namespace microagent::mediator {

// The addresses of the host's interfaces, kept current by a subscription to rtnetlink(7). The kernel queues its notice
// when an address appears, so asking before each decision sees every address that existed before it.
class HostAddresses {
 public:
  static Result<HostAddresses> open();

  // Brings `addresses`, empty at first and the same set every time, up to date. One system call where nothing changed.
  Status refresh(std::set<policy::Address>& addresses);

 private:
  explicit HostAddresses(Fd notices) : notices_(std::move(notices)) {}
  Status take_notices();

  Fd notices_;
  bool stale_ = true;
};

}  // namespace microagent::mediator
