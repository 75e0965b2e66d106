#pragma once

// What a command says: records for programs or lines for people on standard output, never both; progress and errors
// for people on standard error.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::cli {

enum class Format { text, json };

enum class Colour { none, bold, green, yellow, red };

class Output {
 public:
  // Colour is for a terminal, and for nobody who has set NO_COLOR (no-color.org).
  explicit Output(Format format);

  bool json() const { return format_ == Format::json; }
  bool standard_output_is_terminal() const { return terminal_; }

  // One JSON object with "ok" in it. Fails when standard output cannot be written.
  Status record(nlohmann::json record, bool ok = true) const;
  // One JSON object on one line, for a program that follows.
  Status line(const nlohmann::json& object) const;
  // Text as it is.
  Status text(std::string_view text) const;
  // The error for whoever listens: an object on standard output, or one line on standard error.
  void error(const Error& error) const;

  std::string paint(Colour colour, std::string_view text) const;

 private:
  Format format_;
  bool terminal_, coloured_;
};

// Whether standard error is a terminal.
bool progress_is_watched();

// One line to standard error.
void say(std::string_view line);

// The text without control characters, which come from guests and files: a terminal would obey them.
std::string printable(std::string_view text);

int exit_code(const Error& error);

}  // namespace microagent::cli
