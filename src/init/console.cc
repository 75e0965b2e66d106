#include "init/console.h"

#include <unistd.h>

#include "init/text.h"

namespace microagent::init {

void say(std::string_view line) {
  const std::string whole = concat("microagent-init: ", line, "\n");
  // Nothing can be done about a console that takes nothing; the guest's work must go on.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, whole.data(), whole.size());
}

}  // namespace microagent::init
