#pragma once

// The audit records of a flow: which event, and what it says.

#include <string_view>

#include "audit/record.h"
#include "flow/messages.h"
#include "mediator/judge.h"

namespace microagent::mediator {

struct Record {
  audit::Event event{};
  audit::Fields fields;
};

Record allow_record(const flow::Open& open, const Judgement& judgement);
Record deny_record(const flow::Open& open, const Judgement& judgement);
Record dial_error_record(const flow::Open& open, std::string_view error);
Record close_record(const flow::Open& open, const flow::Closed& closed);

}  // namespace microagent::mediator
