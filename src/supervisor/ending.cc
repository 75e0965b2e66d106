#include "supervisor/ending.h"

#include <fmt/format.h>

namespace microagent::supervisor {
namespace {

using workspace::State;

int badness(const std::optional<ChildEnd>& end) {
  if (!end) return 0;
  if (end->signal != 0) return 3;
  return end->code != 0 ? 2 : 1;
}

std::string with_console(std::string_view what, std::string_view last_console_line) {
  if (last_console_line.empty()) return std::string(what);
  return fmt::format("{}; the console ended with: {}", what, last_console_line);
}

}  // namespace

Ending judge_machine_end(const ChildEnd& end, const std::optional<Machine::Shutdown>& shutdown,
                         std::string_view last_console_line, std::string_view obituary) {
  const bool orderly = end.signal == 0 && end.code == 0 && shutdown && shutdown->by_guest;
  if (!orderly) return {State::failed, std::string(obituary), workspace::kReasonFailure};
  const bool panicked = shutdown->panicked || last_console_line.find("Kernel panic") != std::string_view::npos;
  if (panicked) {
    return {State::failed, with_console("the guest's kernel panicked", last_console_line), workspace::kReasonFailure};
  }
  if (shutdown->reason == "guest-shutdown")
    return {State::stopped, "the guest powered itself off", workspace::kReasonGuest};
  // A restart is how a panic ends (panic=-1), and how a guest that was told to reboot does: a workspace does neither.
  return {State::failed, with_console("the guest restarted itself", last_console_line), workspace::kReasonFailure};
}

std::optional<std::size_t> find_culprit(std::span<const std::optional<ChildEnd>> ends) {
  std::optional<std::size_t> worst;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (badness(ends[i]) > (worst ? badness(ends[*worst]) : 0)) worst = i;
  }
  return worst;
}

}  // namespace microagent::supervisor
