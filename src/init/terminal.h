#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "wire/agent.h"

namespace microagent::init {

// A pseudo terminal: `ours` is the side with the keyboard and the screen, non-blocking.
struct Terminal {
  Fd ours, theirs;
};

Result<Terminal> open_terminal(const wire::TerminalSize& size);

// Tells the programs on it by SIGWINCH.
void resize(int terminal, const wire::TerminalSize& size);

// What a person types for the end of input; nothing when the program reads single keys and has no such thing.
void type_end_of_input(int terminal);

}  // namespace microagent::init
