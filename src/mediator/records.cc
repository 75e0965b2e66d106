#include "mediator/records.h"

#include "mediator/endpoint.h"

namespace microagent::mediator {
namespace {

bool is_udp(const flow::Open& open) { return open.protocol == flow::Protocol::udp; }

audit::Fields where(const flow::Open& open) {
  audit::Fields fields = audit::Fields::object();
  fields["host"] = host_text(open.destination);
  fields["dst"] = endpoint_text(open.destination, open.protocol);
  fields["src"] = endpoint_text(open.guest, open.protocol);
  fields["proto"] = protocol_text(open.protocol);
  return fields;
}

std::string_view end_text(flow::End end) {
  switch (end) {
    case flow::End::finished: return "finished";
    case flow::End::guest_reset: return "guest_reset";
    case flow::End::host_reset: return "host_reset";
    case flow::End::timed_out: return "timed_out";
    case flow::End::killed: return "killed";
    case flow::End::refused: return "refused";
    case flow::End::capped: return "capped";
    case flow::End::no_resources: return "no_resources";
  }
  return "unknown";
}

}  // namespace

Record allow_record(const flow::Open& open, const Judgement& judgement) {
  Record record{is_udp(open) ? audit::Event::udp_allow : audit::Event::allow, where(open)};
  if (judgement.unlisted) record.fields["unlisted"] = true;
  record.fields["rule"] = judgement.rule;
  return record;
}

Record deny_record(const flow::Open& open, const Judgement& judgement) {
  const audit::Event internal = is_udp(open) ? audit::Event::udp_internal_deny : audit::Event::internal_deny;
  const audit::Event plain = is_udp(open) ? audit::Event::udp_deny : audit::Event::deny;
  Record record{judgement.internal ? internal : plain, where(open)};
  record.fields["reason"] = judgement.reason;
  if (judgement.internal) record.fields["internal"] = true;
  record.fields["rule"] = judgement.rule;
  return record;
}

Record dial_error_record(const flow::Open& open, std::string_view error) {
  Record record{is_udp(open) ? audit::Event::udp_dial_error : audit::Event::dial_error, where(open)};
  record.fields["error"] = error;
  return record;
}

Record close_record(const flow::Open& open, const flow::Closed& closed) {
  Record record{is_udp(open) ? audit::Event::udp_close : audit::Event::close, where(open)};
  record.fields["bytesOut"] = closed.bytes_out;
  record.fields["bytesIn"] = closed.bytes_in;
  record.fields["durationMs"] = closed.duration_us / 1000;
  record.fields["end"] = end_text(closed.end);
  return record;
}

}  // namespace microagent::mediator
