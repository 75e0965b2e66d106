#pragma once

// The audit records of the mediation channel's connections. They say what the records of any flow say, under names of
// their own: the channel is no egress.

#include <string_view>

#include "mediator/records.h"

namespace microagent::mediator {

Record mediation_open_record(const flow::Open& open, std::string_view rule);
Record mediation_deny_record(const flow::Open& open, std::string_view reason, std::string_view rule);
Record mediation_dial_error_record(const flow::Open& open, std::string_view error);
Record mediation_close_record(const flow::Open& open, const flow::Closed& closed);

}  // namespace microagent::mediator
