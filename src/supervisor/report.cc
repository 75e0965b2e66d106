#include "supervisor/report.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace microagent::supervisor {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

ErrorKind kind_of(std::string_view word) {
  for (const ErrorKind kind : {ErrorKind::usage, ErrorKind::transient, ErrorKind::conflict, ErrorKind::not_found,
                               ErrorKind::resource_exhausted, ErrorKind::unsupported, ErrorKind::policy_denied}) {
    if (to_string(kind) == word) return kind;
  }
  return ErrorKind::permanent;
}

}  // namespace

Json error_to_json(const Error& error) {
  return {{"kind", to_string(error.kind)}, {"message", error.message}, {"remediation", error.remediation}};
}

Error error_from_json(const Json& json) {
  Error error{kind_of(text_of(json, "kind")), text_of(json, "message"), text_of(json, "remediation")};
  if (error.message.empty()) error.message = "the supervisor gave no reason";
  return error;
}

std::optional<Report> parse_report(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const std::string type = text_of(json, "type");
  if (type == "progress") return Report{Report::Kind::progress, text_of(json, "text"), {}};
  if (type == "running") return Report{Report::Kind::running, {}, {}};
  if (type == "failed") return Report{Report::Kind::failed, {}, error_from_json(json.value("error", Json::object()))};
  return std::nullopt;
}

void Reporter::progress(std::string_view text) { write({{"type", "progress"}, {"text", text}}); }

void Reporter::running() {
  Json line = Json::object();
  line["type"] = "running";
  write(line);
  pipe_.reset();
}

void Reporter::failed(const Error& error) {
  write({{"type", "failed"}, {"error", error_to_json(error)}});
  pipe_.reset();
}

void Reporter::write(const Json& line) {
  if (!pipe_) return;
  const std::string text = line.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(pipe_.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return pipe_.reset();
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace microagent::supervisor
