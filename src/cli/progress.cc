#include "cli/progress.h"

#include <fmt/format.h>

namespace microagent::cli {

Progress::Progress(const Output& out, std::string subject)
    : subject_(std::move(subject)),
      wanted_(!out.json()),
      watched_(progress_is_watched()),
      begun_(std::chrono::steady_clock::now()) {}

void Progress::operator()(std::string_view phase) const {
  if (!wanted_) return;
  const auto passed = std::chrono::steady_clock::now() - begun_;
  if (!watched_ && passed < std::chrono::seconds(1)) return;
  say(fmt::format("{}: {}", subject_, printable(phase)));
}

}  // namespace microagent::cli
