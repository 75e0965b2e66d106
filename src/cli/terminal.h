#pragma once

#include <termios.h>

#include <optional>

#include "base/result.h"
#include "wire/agent.h"

namespace microagent::cli {

// Nothing when `fd` is no terminal, or one that does not know its size.
std::optional<wire::TerminalSize> terminal_size(int fd);

// Hands every key on as it is, for as long as it lives: what the terminal would make of Ctrl-C, of lines and of echo is
// the far end's affair. Does nothing to what is no terminal.
class RawTerminal {
 public:
  static Result<RawTerminal> enter(int fd);
  RawTerminal(RawTerminal&& other) noexcept;
  ~RawTerminal();

 private:
  explicit RawTerminal(int fd) : fd_(fd) {}

  int fd_;  // -1: nothing to restore
  termios before_{};
};

}  // namespace microagent::cli
