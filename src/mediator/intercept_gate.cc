#include "mediator/intercept_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "http/refusal.h"
#include "http/secret_placement.h"
#include "mediator/endpoint.h"
#include "mediator/explanation.h"
#include "mediator/guest_http.h"
#include "mediator/missing_certificate.h"
#include "policy/host.h"

namespace microagent::mediator {
namespace {

constexpr std::uint16_t kUnauthorized = 401;        // RFC 9110, 15.5.2
constexpr std::uint16_t kForbidden = 403;           // RFC 9110, 15.5.4
constexpr std::uint16_t kRequestTimeout = 408;      // RFC 9110, 15.5.9
constexpr std::uint16_t kContentTooLarge = 413;     // RFC 9110, 15.5.14
constexpr std::uint16_t kMisdirected = 421;         // RFC 9110, 15.5.20
constexpr std::uint16_t kServiceUnavailable = 503;  // RFC 9110, 15.6.4

std::string host_of(const LiveFlow& flow) { return flow.host.empty() ? host_text(flow.open.destination) : flow.host; }

// The host is the flow's, in its one spelling; what the request called it else is its name.
Record request_record(const LiveFlow& flow, const RequestStory& story) {
  Record record{audit::Event::request, audit::Fields::object()};
  audit::Fields& fields = record.fields;
  fields.get_ref<audit::Fields::object_t&>().reserve(8);  // there is one for every request
  fields["method"] = story.method;
  std::string host = host_of(flow);
  auto name = policy::canonical_name(story.host);
  if (name && *name != host) fields["name"] = std::move(*name);
  fields["host"] = std::move(host);
  fields["path"] = story.path;
  fields["status"] = story.status;
  fields["bytesOut"] = story.bytes_out;
  fields["bytesIn"] = story.bytes_in;
  const auto took = std::chrono::steady_clock::now() - story.began;
  fields["durationMs"] = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  if (!story.would_deny.empty()) {
    fields["rule"] = story.rule;
    fields["wouldDeny"] = story.would_deny;
  }
  if (!story.swap.empty()) fields["swap"] = story.swap;
  if (!story.error.empty()) fields["error"] = story.error;
  return record;
}

Record open_request_record(const LiveFlow& flow, const policy::Request& request) {
  Record record{audit::Event::request_open, audit::Fields::object()};
  record.fields["method"] = request.method;
  record.fields["host"] = host_of(flow);
  record.fields["path"] = request.path;
  return record;
}

OpenRequest* find_open(LiveFlow& flow, std::string_view method, std::string_view path,
                       std::chrono::steady_clock::time_point began) {
  const auto found = std::ranges::find_if(flow.requests, [&](const OpenRequest& request) {
    return request.began == began && request.asked.method == method && request.asked.path == path;
  });
  return found == flow.requests.end() ? nullptr : &*found;
}

Record swap_record(audit::Event event, const LiveFlow& flow) {
  Record record{event, audit::Fields::object()};
  record.fields["host"] = flow.host;
  record.fields["swap"] = flow.swap->name;
  record.fields["type"] = policy::to_string(flow.swap->type);
  return record;
}

Record swap_error_record(const LiveFlow& flow, const std::string& error) {
  Record record = swap_record(audit::Event::swap_error, flow);
  record.fields["error"] = error;
  record.fields["signal"] = policy::to_string(policy::Signal::unresolved_secret_ref);
  return record;
}

std::string words_of(const Denial& denied) {
  return fmt::format("microagent refused this request: {}; {} ({})", denied.reason, denied.rule, denied.id);
}

}  // namespace

Mediator::Gate::Gate(Mediator& mediator, FlowPtr flow, Failure failure)
    : mediator_(mediator), alive_(mediator.alive_), flow_(std::move(flow)), failure_(failure) {}

Mediator::Gate::Gate(Mediator& mediator, FlowPtr flow, UpstreamLease upstream, RelayMemory::Share memory)
    : Gate(mediator, std::move(flow)) {
  lane_ = std::move(upstream);
  lane_memory_ = std::move(memory);
}

Mediator::Gate::~Gate() {
  if (lane_ && !alive_.expired()) mediator_.keep_upstream(*flow_, std::move(*lane_));
}

// ---- judging

std::optional<Refused> Mediator::Gate::admit(http::RequestMessage& request, RequestStory& story) {
  if (!is_for_flow(request)) {
    Denial misdirected = denial("the request is for another host than the connection",
                                "names: a request must be for the host that the connection is for",
                                policy::Signal::name_destination_mismatch);
    // A credential is for the host that the connection is for: behind a front that serves many, another would get it.
    if (flow_->swap || !mediator_.policy_.policy().observe()) {
      return refuse(kMisdirected, request, std::move(misdirected));
    }
    story.would_deny = policy::to_string(policy::Signal::name_destination_mismatch);
    story.rule = std::move(misdirected.rule);
  }
  const policy::Decision decision = mediator_.decide(*flow_, {request.method, request.path});
  if (!decision.allowed()) return refuse(kForbidden, request, denial_of(decision));
  if (flow_->swap && !is_tls()) {
    return refuse(kForbidden, request,
                  denial("a credential swap is for this host, and no credential goes over plain HTTP: use https",
                         "swap " + flow_->swap->name));
  }
  if (decision.would_deny && story.would_deny.empty()) {
    story.would_deny = policy::to_string(decision.reason);
    story.rule = decision.text;
  }
  if (!mediator_.recorder_.can_write()) return refuse_unrecorded(request);
  flow_->requests.push_back({{request.method, request.path}, story.began});
  return std::nullopt;
}

// The name that TLS, or the first request, gave; the address where none was given. HTTP/1.0 knows no Host: its server
// takes it for whom the connection is for, and so must we.
bool Mediator::Gate::is_for_flow(const http::RequestMessage& request) const {
  const http::Authority& authority = request.authority;
  if (request.version == http::Version::http_1_0 && authority == http::Authority{}) return true;
  if (authority.port && *authority.port != flow_->facts.port) return false;
  if (flow_->facts.name.empty()) return authority.address && *authority.address == flow_->facts.destination;
  if (authority.address) {
    const auto named = policy::parse_address(flow_->facts.name);
    return named && *named == *authority.address;
  }
  const auto asked = policy::canonical_name(authority.host);
  return asked && asked == policy::canonical_name(flow_->facts.name);
}

Refused Mediator::Gate::refuse(std::uint16_t status, const http::RequestMessage& request, Denial denied) {
  denied.host = flow_->host;
  Record record = deny_record(flow_->open, denied);
  record.fields["method"] = request.method;
  record.fields["path"] = request.path;
  mediator_.write_denial(*flow_, denied, std::move(record));
  return {status, words_of(denied), refusal_body(denied, destination(), http::wants_json(request))};
}

Refused Mediator::Gate::refuse_unrecorded(const http::RequestMessage& request) {
  return refuse(kServiceUnavailable, request, denial("the audit log cannot be written", "resources"));
}

Refused Mediator::Gate::refuse_malformed(const std::string& fault, bool json) {
  Denial denied = denial("malformed: " + fault, "requests: everybody must read the same one");
  mediator_.write_denial(*flow_, denied);
  return {400, words_of(denied), refusal_body(denied, destination(), json)};
}

Refused Mediator::Gate::refuse_slow() {
  const std::string words = "the head of a request did not come to its end in time";
  Denial denied = denial("slow: " + words, fmt::format("requests: a head is whole {} seconds after its first byte",
                                                       kHeadTime.count() / 1000));
  mediator_.write_denial(*flow_, denied);
  return {kRequestTimeout, words_of(denied), refusal_body(denied, destination(), false)};
}

Refused Mediator::Gate::upstream_failed(const std::string& what, bool json) {
  // With TLS 1.3 a server says only after the handshake that it misses a certificate.
  const auto& stream = lease().connection.stream;
  const std::string why = stream && misses_certificate(*stream) ? fmt::format("{}; {}", what, kAsksCertificate) : what;
  // In the clear, the request's own record says it all.
  if (failure_ == Failure::to_record && is_tls()) {
    const std::string key = fmt::format("upstream of {}: {} {}", flow_->audit_flow, fault_, why);
    mediator_.recorder_.write_or_count(key, flow_->audit_flow,
                                       [&] { return upstream_error_record(flow_->open, flow_->host, why, fault_); });
  }
  return {502, "microagent: " + why, failure_body(flow_->host, destination(), why, json)};
}

// Also called when the event loop destroys what it has not finished, and that is after the mediator's end.
void Mediator::Gate::record(const RequestStory& story) {
  if (const OpenRequest* over = find_open(*flow_, story.method, story.path, story.began)) {
    flow_->requests.erase(flow_->requests.begin() + (over - flow_->requests.data()));
  }
  if (alive_.expired()) return;
  if (story.credential != 0 && story.status == kUnauthorized) {
    mediator_.swapper_->refuse(*flow_->swap, story.credential);
  }
  mediator_.recorder_.write_later(flow_->audit_flow, request_record(*flow_, story));
}

// Its end may be hours away, and a mediator that dies has none to tell. What cannot be written is tried again.
void Mediator::write_open_requests(std::chrono::steady_clock::time_point now) {
  for (const auto& [id, flow] : flows_) {
    for (const OpenRequest& request : flow->requests) {
      if (request.recorded || now - request.began < config_.lasting_request) continue;
      recorder_.write_then(flow->audit_flow, open_request_record(*flow, request.asked),
                           [flow, asked = request.asked, began = request.began](bool written) {
                             OpenRequest* open = find_open(*flow, asked.method, asked.path, began);
                             if (open != nullptr) open->recorded = written;
                           });
    }
  }
}

std::string Mediator::Gate::destination() const { return endpoint_text(flow_->open.destination, flow_->open.protocol); }

// ---- the upstream's connections

asio::awaitable<RequestGate::Replacement> Mediator::Gate::replace_upstream() {
  if (!is_tls()) co_return no_upstream("the upstream ended, or spoke, before it was asked anything");
  fault_.clear();
  auto connected = co_await mediator_.replace_upstream(flow_, lease());
  if (connected) co_return *connected;
  fault_ = std::move(connected.error().fault);
  co_return no_upstream(std::move(connected.error().text));
}

std::unique_ptr<RequestGate> Mediator::Gate::open_lane() {
  auto memory = mediator_.memory_.take(false);
  if (!memory) return nullptr;
  return std::make_unique<Gate>(mediator_, flow_, mediator_.take_upstream(*flow_), std::move(*memory));
}

Refused Mediator::Gate::no_room(const http::RequestMessage& request) {
  return refuse(kServiceUnavailable, request,
                denial("there are as many intercepted requests as there may be", "resources"));
}

std::optional<http::Http2Session> Mediator::Gate::take_session() {
  return std::exchange(lease().connection.http2, std::nullopt);
}

void Mediator::Gate::leave_session(http::Http2Session session) {
  session.detach();
  lease().connection.http2 = std::move(session);
}

// ---- credentials

bool Mediator::Gate::lacks_credential(const http::RequestMessage& request) {
  if (!swaps() || !wants_credential(request)) return false;
  const auto known = mediator_.swapper_->at_hand(*flow_->swap);
  if (known) obtained_ = *known;
  return !known;
}

asio::awaitable<void> Mediator::Gate::obtain_credential() {
  obtained_ = co_await mediator_.swapper_->obtain(flow_->swap);
}

std::optional<Refused> Mediator::Gate::equip(http::RequestMessage& request, RequestStory& story) {
  if (!swaps()) return std::nullopt;
  http::ask_readable(request, flow_->swap->placement);
  if (!wants_credential(request)) return std::nullopt;
  const bool json = http::wants_json(request);
  // Files, variables and token servers of the user's are none of the guest's business.
  if (!obtained_) {
    return swap_failed(obtained_.error().message, "its credential cannot be had; the workspace's audit log says why",
                       json);
  }
  story.given = *obtained_;
  mediator_.swapper_->send(*flow_->swap, story.given);
  if (!http::wants_secret(request, flow_->swap->placement)) return std::nullopt;  // its body may
  if (!http::place_secret(request, flow_->swap->placement, story.given.secret->view())) {
    return swap_failed("the request's head would become too long", json);
  }
  if (!note_swap(story)) return refuse_unrecorded(request);
  return std::nullopt;
}

bool Mediator::Gate::rewrites_body(const http::RequestMessage& request) {
  return swaps() && has_body_for_secret(request);
}

BodyVerdict Mediator::Gate::rewrite_body(const http::RequestMessage& request, std::string_view body, bool whole,
                                         RequestStory& story) {
  const std::string& placeholder = flow_->swap->placement.placeholder;
  const auto kind = http::text_kind(request.headers).value_or(http::TextKind::plain);
  if (!http::holds_placeholder(kind, body, placeholder)) return {};
  auto replaced = whole ? http::replace_in_body(kind, body, placeholder, story.given.secret->view()) : std::nullopt;
  if (!replaced) return {{}, refuse_long_body(http::wants_json(request))};
  if (!note_swap(story)) return {{}, refuse_unrecorded(request)};
  return {std::move(replaced), {}};
}

Refused Mediator::Gate::lacks_memory(bool json) {
  Refused refused = swap_failed("as much is looked through at the moment as there is memory for", json);
  refused.status = kServiceUnavailable;
  return refused;
}

http::SecretFormsPtr Mediator::Gate::secrets(const RequestStory& story) {
  return swaps() ? mediator_.swapper_->secrets(*flow_->swap, story) : http::SecretFormsPtr();
}

bool Mediator::Gate::wants_credential(const http::RequestMessage& request) const {
  return http::wants_secret(request, flow_->swap->placement) || has_body_for_secret(request);
}

bool Mediator::Gate::has_body_for_secret(const http::RequestMessage& request) const {
  return flow_->swap->placement.in_body && http::text_kind(request.headers);
}

bool Mediator::Gate::note_swap(RequestStory& story) {
  if (!flow_->swapped && !mediator_.recorder_.write(flow_->audit_flow, swap_record(audit::Event::swap, *flow_))) {
    return false;
  }
  flow_->swapped = true;
  story.swap = flow_->swap->name;
  story.credential = story.given.version;
  story.carried = story.given.secret;
  return true;
}

Refused Mediator::Gate::swap_failed(const std::string& error, std::string_view told, bool json) {
  const std::string key = fmt::format("credential swap {}: {}", flow_->swap->name, error);
  mediator_.recorder_.write_or_count(key, flow_->audit_flow, [&] { return swap_error_record(*flow_, error); });
  const std::string why = fmt::format("credential swap {}: {}", flow_->swap->name, told);
  return {502, "microagent: " + why, failure_body(flow_->host, destination(), why, json)};
}

Refused Mediator::Gate::refuse_long_body(bool json) {
  const std::string error = fmt::format("the placeholder is replaced in bodies of up to {} bytes, which may grow to {}",
                                        http::kMaxSwappedBody, http::kMaxGrownBody);
  Refused refused = swap_failed(error, json);
  refused.status = kContentTooLarge;
  return refused;
}

}  // namespace microagent::mediator
