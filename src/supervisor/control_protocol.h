#pragma once

// The words of the control socket (client.h): one JSON line each way.

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::supervisor {

inline constexpr const char* kControlSocket = "control.sock";
inline constexpr std::size_t kMaxControlLine = 4096;
inline constexpr std::size_t kMaxFinding = 256;
inline constexpr std::chrono::seconds kDefaultStopTimeout{10};
inline constexpr std::chrono::seconds kMaxStopTimeout{3600};

struct ControlRequest {
  enum class Command { stop, kill, exec, wait, end, policy, ports, ask, usage, health, pending, quarantine };
  Command command{};
  std::chrono::seconds timeout = kDefaultStopTimeout;  // stop only
  bool healthy = false;                                // health only, as what is found
  std::string finding{};
  std::string question{};  // ask only: a JSON object with "ask": "explain" or "status"
};

// With the newline at its end.
std::string encode_control_request(const ControlRequest& request);
Result<ControlRequest> parse_control_request(std::string_view line);

// {"ok":true}, with "result" where there is one, or with the error. With the newline at its end.
std::string encode_control_reply(const Status& outcome);
std::string encode_control_result(const Result<nlohmann::json>& result);
// The result, null where there is none, or the error that the reply holds; also when it is no reply.
Result<nlohmann::json> parse_control_reply(std::string_view line);

}  // namespace microagent::supervisor
