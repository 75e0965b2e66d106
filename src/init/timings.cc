#include "init/timings.h"

#include <time.h>

#include "init/console.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

std::uint64_t since_boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::string milliseconds(std::uint64_t ns) { return concat(ns / 1'000'000, ".", ns / 100'000 % 10, " ms"); }

}  // namespace

Timings::Timings() : last_ns_(since_boot_ns()), text_(concat("kernel ", milliseconds(last_ns_))) {}

void Timings::mark(const char* stage) {
  const std::uint64_t now = since_boot_ns();
  text_ += concat(", ", stage, " ", milliseconds(now - last_ns_));
  last_ns_ = now;
}

void Timings::say_all() const {
  constexpr std::size_t kMaxCommandLine = 4096;
  const auto command_line = read_file("/proc/cmdline", kMaxCommandLine);
  if (command_line && command_line->find("microagent.timings") != std::string::npos) say(concat("timings: ", text_));
}

}  // namespace microagent::init
