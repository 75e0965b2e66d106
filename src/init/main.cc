// microagent-init: the guest's PID 1.

#include <sys/reboot.h>
#include <unistd.h>

#include "init/console.h"
#include "init/guest.h"

namespace microagent::init {
namespace {

[[noreturn]] void power_off() {
  ::sync();
  ::reboot(RB_POWER_OFF);
  // Not reached where the machine can be switched off. The end of a PID 1 is a panic, which the host notices.
  say("the machine cannot be switched off");
  ::_exit(1);
}

int run() {
  if (::getpid() != 1) {
    say("this is the first process of a microagent guest, and nothing to be run by hand");
    return 2;
  }
  auto loop = Loop::make();
  if (!loop) {
    say(loop.error().message);
    power_off();
  }
  Guest guest(std::move(*loop));
  if (const Status booted = guest.boot(); booted) guest.live();
  else guest.report_failure(booted.error());
  guest.wind_down();
  if (guest.is_being_ended()) ::_exit(0);
  guest.settle();
  power_off();
}

}  // namespace
}  // namespace microagent::init

int main() { return microagent::init::run(); }
