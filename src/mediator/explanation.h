#pragma once

// What a guest is told over HTTP: why a request was refused, and the page that says it of the last ones.

#include <string>
#include <string_view>

#include "mediator/denial.h"
#include "mediator/live_policy.h"

namespace microagent::mediator {

// The name under which a guest finds the page; its address is the gateway's.
inline constexpr std::string_view kPolicyHost = "policy.microagent";

// What a refused request is answered with, as JSON or text.
std::string refusal_body(const Denial& denial, std::string_view dst, bool as_json);
// The same of a request whose upstream failed.
std::string failure_body(std::string_view host, std::string_view dst, std::string_view why, bool as_json);

// A whole response, JSON or text, after which the connection ends. 403; 400 where the request itself is at fault.
std::string refusal_response(const Denial& denial, std::string_view dst, bool as_json, bool bad_request);

// A whole response to GET or HEAD: the mode, the rules and the last refusals.
std::string policy_page(const LivePolicy& policy, const RecentDenials& denials, bool as_json, bool head_only);

// Any other response of the page's server, "405 Method Not Allowed" for example.
std::string plain_response(std::string_view status, std::string_view text);

}  // namespace microagent::mediator
