#include "mediator/records.h"

#include <fmt/format.h>

#include "mediator/endpoint.h"

namespace microagent::mediator {
namespace {

bool is_udp(const flow::Open& open) { return open.protocol == flow::Protocol::udp; }

audit::Fields where(const flow::Open& open, std::string_view host) {
  audit::Fields fields = audit::Fields::object();
  fields["host"] = host.empty() ? host_text(open.destination) : std::string(host);
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

// The names of IANA for what a guest may well try; a number else.
std::string ip_protocol_text(std::uint8_t protocol) {
  switch (protocol) {
    case 1: return "icmp";
    case 2: return "igmp";
    case 33: return "dccp";
    case 41: return "ipv6";
    case 47: return "gre";
    case 50: return "esp";
    case 51: return "ah";
    case 58: return "ipv6-icmp";
    case 132: return "sctp";
    default: return fmt::format("ip-{}", protocol);
  }
}

}  // namespace

Record allow_record(const flow::Open& open, const policy::Decision& decision) {
  Record record{is_udp(open) ? audit::Event::udp_allow : audit::Event::allow, where(open, decision.host)};
  if (decision.reason == policy::Reason::unlisted_public) record.fields["unlisted"] = true;
  if (decision.verdict == policy::Verdict::intercept) record.fields["mitm"] = true;
  record.fields["rule"] = decision.text;
  if (decision.would_deny) record.fields["wouldDeny"] = policy::to_string(decision.reason);
  if (const auto signal = policy::to_string(decision.signal); !signal.empty()) record.fields["signal"] = signal;
  return record;
}

Record deny_record(const flow::Open& open, const Denial& denial) {
  const audit::Event internal = is_udp(open) ? audit::Event::udp_internal_deny : audit::Event::internal_deny;
  const audit::Event plain = is_udp(open) ? audit::Event::udp_deny : audit::Event::deny;
  Record record{denial.internal ? internal : plain, where(open, denial.host)};
  record.fields["reason"] = denial.reason;
  if (!denial.name.empty() && denial.name != denial.host) record.fields["name"] = denial.name;
  if (denial.internal) record.fields["internal"] = true;
  record.fields["rule"] = denial.rule;
  if (!denial.signal.empty()) record.fields["signal"] = denial.signal;
  return record;
}

Record dial_error_record(const flow::Open& open, std::string_view host, std::string_view error) {
  Record record{is_udp(open) ? audit::Event::udp_dial_error : audit::Event::dial_error, where(open, host)};
  record.fields["error"] = error;
  return record;
}

Record upstream_error_record(const flow::Open& open, std::string_view host, std::string_view error,
                             std::string_view fault) {
  Record record{audit::Event::mitm_upstream_error, audit::Fields::object()};
  record.fields["host"] = host.empty() ? host_text(open.destination) : std::string(host);
  record.fields["dst"] = endpoint_text(open.destination, open.protocol);
  if (!fault.empty()) record.fields["fault"] = fault;
  record.fields["error"] = error;
  return record;
}

Record cap_record(const flow::Open& open, std::string_view host, const CapHit& hit) {
  Record record{audit::Event::cap_exceeded, where(open, host)};
  record.fields["cap"] = hit.cap;
  record.fields["reason"] = hit.reason;
  record.fields["limit"] = hit.limit;
  return record;
}

Record dropped_record(std::uint8_t ip_protocol, std::uint64_t packets) {
  Record record{audit::Event::deny, audit::Fields::object()};
  record.fields["proto"] = ip_protocol_text(ip_protocol);
  record.fields["reason"] = "no such protocol is carried";
  record.fields["rule"] = "protocols: TCP, UDP and ICMP echo";
  record.fields["signal"] = policy::to_string(policy::Signal::unmediatable_protocol);
  record.fields["packets"] = packets;
  return record;
}

Record close_record(const flow::Open& open, std::string_view host, const flow::Closed& closed) {
  Record record{is_udp(open) ? audit::Event::udp_close : audit::Event::close, where(open, host)};
  record.fields["bytesOut"] = closed.bytes_out;
  record.fields["bytesIn"] = closed.bytes_in;
  record.fields["durationMs"] = closed.duration_us / 1000;
  record.fields["end"] = end_text(closed.end);
  return record;
}

}  // namespace microagent::mediator
