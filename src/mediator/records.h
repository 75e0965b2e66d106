#pragma once

// The audit records of a flow: which event, and what it says.

#include <string_view>

#include "flow/messages.h"
#include "mediator/caps.h"
#include "mediator/denial.h"
#include "mediator/recorder.h"
#include "policy/decision.h"

namespace microagent::mediator {

// `host` is whom a flow is for: a name, else the address. Empty: the address.
Record allow_record(const flow::Open& open, const policy::Decision& decision);
// Without its id, which the recorder gives.
Record deny_record(const flow::Open& open, const Denial& denial);
Record dial_error_record(const flow::Open& open, std::string_view host, std::string_view error);
// Of an upstream whose TLS is opened; `fault` where its certificate is not believed.
Record upstream_error_record(const flow::Open& open, std::string_view host, std::string_view error,
                             std::string_view fault = {});
Record cap_record(const flow::Open& open, std::string_view host, const CapHit& hit);
// Packets of a protocol that is no flow; `packets` since netd began.
Record dropped_record(std::uint8_t ip_protocol, std::uint64_t packets);
Record close_record(const flow::Open& open, std::string_view host, const flow::Closed& closed);

}  // namespace microagent::mediator
