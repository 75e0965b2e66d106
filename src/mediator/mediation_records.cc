#include "mediator/mediation_records.h"

namespace microagent::mediator {
namespace {

Record named(audit::Event event, Record record) {
  record.event = event;
  return record;
}

}  // namespace

Record mediation_open_record(const flow::Open& open, std::string_view rule) {
  policy::Decision decision;
  decision.reason = policy::Reason::listed;
  decision.text = rule;
  return named(audit::Event::mediation_open, allow_record(open, decision));
}

Record mediation_deny_record(const flow::Open& open, std::string_view reason, std::string_view rule) {
  Record record = mediation_open_record(open, rule);
  record.fields["reason"] = reason;
  return named(audit::Event::mediation_deny, std::move(record));
}

Record mediation_dial_error_record(const flow::Open& open, std::string_view error) {
  return named(audit::Event::mediation_dial_error, dial_error_record(open, {}, error));
}

Record mediation_close_record(const flow::Open& open, const flow::Closed& closed) {
  return named(audit::Event::mediation_close, close_record(open, {}, closed));
}

}  // namespace microagent::mediator
