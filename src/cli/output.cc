#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/write_all.h"
#include "cli/remedy.h"

namespace microagent::cli {
namespace {

using Json = nlohmann::json;

constexpr int kExitFailure = 1, kExitUsage = 2;
constexpr int kExitRetry = 75;  // EX_TEMPFAIL, sysexits(3)

const char* escape_sequence(Colour colour) {
  switch (colour) {
    case Colour::none: return "";
    case Colour::bold: return "\033[1m";
    case Colour::green: return "\033[32m";
    case Colour::yellow: return "\033[33m";
    case Colour::red: return "\033[31m";
  }
  return "";
}

Status write_whole(int fd, std::string_view text) {
  const int error = write_all(fd, text);
  return error == 0 ? Status() : fail_errno(error, "cannot write to standard output");
}

// File names and guests' words may be no UTF-8.
std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

}  // namespace

Output::Output(Format format)
    : format_(format),
      terminal_(::isatty(STDOUT_FILENO) == 1),
      coloured_(terminal_ && format == Format::text && std::getenv("NO_COLOR") == nullptr) {}

Status Output::record(Json record, bool ok) const {
  record["ok"] = ok;
  return write_whole(STDOUT_FILENO, dump(record, 2) + "\n");
}

Status Output::line(const Json& object) const { return write_whole(STDOUT_FILENO, dump(object, -1) + "\n"); }

Status Output::text(std::string_view text) const { return write_whole(STDOUT_FILENO, text); }

void Output::error(const Error& error) const {
  if (json()) {
    const Json object = {{"ok", false},
                         {"error",
                          {{"kind", to_string(error.kind)},
                           {"message", error.message},
                           {"remediation", remedy(error)},
                           {"retryable", error.retryable()}}}};
    // Whoever closed standard output learns it from the exit code.
    (void)write_whole(STDOUT_FILENO, dump(object, -1) + "\n");
    return;
  }
  std::string line = "microagent: " + printable(error.message);
  if (!error.remediation.empty()) line += "; hint: " + printable(error.remediation);
  say(line);
}

std::string Output::paint(Colour colour, std::string_view text) const {
  if (!coloured_ || colour == Colour::none) return std::string(text);
  return fmt::format("{}{}\033[0m", escape_sequence(colour), text);
}

bool progress_is_watched() { return ::isatty(STDERR_FILENO) == 1; }

void say(std::string_view line) { (void)write_whole(STDERR_FILENO, fmt::format("{}\n", line)); }

std::string printable(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    // C0 and DEL; and C1, U+0080 to U+009F, as UTF-8 writes them.
    if (byte < 0x20 || byte == 0x7f) shown += fmt::format("\\x{:02x}", byte);
    else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) shown += fmt::format("\\x{:02x}", (++i, next));
    else shown += text[i];
  }
  return shown;
}

int exit_code(const Error& error) {
  if (error.kind == ErrorKind::usage) return kExitUsage;
  return error.retryable() ? kExitRetry : kExitFailure;
}

}  // namespace microagent::cli
