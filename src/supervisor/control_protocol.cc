#include "supervisor/control_protocol.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "supervisor/report.h"

namespace microagent::supervisor {
namespace {

using Json = nlohmann::json;
using Command = ControlRequest::Command;

std::string_view to_string(Command command) {
  switch (command) {
    case Command::stop: return "stop";
    case Command::kill: return "kill";
    case Command::exec: return "exec";
    case Command::wait: return "wait";
    case Command::end: return "end";
    case Command::policy: return "policy";
    case Command::ports: return "ports";
    case Command::ask: return "ask";
    case Command::usage: return "usage";
    case Command::health: return "health";
    case Command::pending: return "pending";
    case Command::quarantine: return "quarantine";
  }
  return "";
}

tl::unexpected<Error> bad(std::string_view why) {
  return fail(ErrorKind::usage, fmt::format("control request: {}", why));
}

constexpr std::array kCommands{Command::stop,  Command::kill,   Command::exec,    Command::wait,
                               Command::end,   Command::policy, Command::ports,   Command::ask,
                               Command::usage, Command::health, Command::pending, Command::quarantine};

// What may be asked of the mediator through us: nothing that changes anything.
bool is_question(const Json& question) {
  const Json ask = question.is_object() ? question.value("ask", Json()) : Json();
  return ask == Json("explain") || ask == Json("status");
}

std::string to_line(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string encode_control_request(const ControlRequest& request) {
  Json json = Json::object();
  json["command"] = to_string(request.command);
  if (request.command == Command::stop) json["timeoutSeconds"] = request.timeout.count();
  if (request.command == Command::health) {
    json["healthy"] = request.healthy;
    json["finding"] = std::string_view(request.finding).substr(0, kMaxFinding);
  }
  if (request.command == Command::ask) json["question"] = Json::parse(request.question, nullptr, false);
  return to_line(json);
}

Result<ControlRequest> parse_control_request(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return bad("a JSON object is wanted");
  ControlRequest request;
  bool known = false;
  for (const Command command : kCommands) {
    if (json.value("command", Json()) != Json(to_string(command))) continue;
    request.command = command;
    known = true;
  }
  if (!known) {
    return bad(
        "the command must be stop, kill, exec, wait, end, policy, ports, ask, usage, health, pending or quarantine");
  }
  const Json question = json.value("question", Json());
  if ((request.command == Command::ask) != is_question(question)) return bad("ask, and nothing else, needs a question");
  if (request.command == Command::ask) request.question = question.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (request.command == Command::health) {
    const Json healthy = json.value("healthy", Json()), finding = json.value("finding", Json());
    if (!healthy.is_boolean() || !finding.is_string()) return bad("health needs healthy and finding");
    request.healthy = healthy.get<bool>();
    request.finding = finding.get<std::string>();
  }
  const auto timeout = json.find("timeoutSeconds");
  if (timeout == json.end()) return request;
  if (request.command != Command::stop) return bad("only stop takes timeoutSeconds");
  if (!timeout->is_number_unsigned() || timeout->get<std::uint64_t>() > std::uint64_t{kMaxStopTimeout.count()}) {
    return bad(fmt::format("timeoutSeconds must be a whole number from 0 to {}", kMaxStopTimeout.count()));
  }
  request.timeout = std::chrono::seconds(timeout->get<std::uint64_t>());
  return request;
}

std::string encode_control_reply(const Status& outcome) {
  return encode_control_result(outcome ? Result<Json>(Json()) : Result<Json>(fail(outcome.error())));
}

std::string encode_control_result(const Result<Json>& result) {
  Json json = Json::object();
  json["ok"] = result.has_value();
  if (!result) {
    json["error"] = error_to_json(result.error());
  } else if (!result->is_null()) {
    json["result"] = *result;
  }
  return to_line(json);
}

Result<Json> parse_control_reply(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return fail(ErrorKind::permanent, "the supervisor's reply is no reply");
  if (json.value("ok", Json()) == Json(true)) return json.value("result", Json());
  return fail(error_from_json(json.value("error", Json::object())));
}

}  // namespace microagent::supervisor
