// Mediator's story of a flow whose requests are read: both handshakes, every request judged, and the record of each.

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "http/refusal.h"
#include "http/secret_placement.h"
#include "mediator/early_stream.h"
#include "mediator/endpoint.h"
#include "mediator/explanation.h"
#include "mediator/guest_http.h"
#include "mediator/io.h"
#include "mediator/mediator.h"
#include "mediator/relay.h"
#include "policy/host.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;
using Phase = LiveFlow::Phase;
using policy::Content;

constexpr std::uint16_t kMisdirected = 421;  // RFC 9110, 15.5.20
constexpr std::uint16_t kServiceUnavailable = 503;

Record handshake_error_record(const LiveFlow& flow, const Interceptor::GuestFailure& failure) {
  Record record{audit::Event::mitm_handshake_error, audit::Fields::object()};
  record.fields["host"] = flow.host;
  record.fields["error"] = failure.distrusts
                               ? "the guest's client does not trust the workspace's authority; for one that pins "
                                 "certificates use --egress-passthrough"
                               : failure.text;
  return record;
}

Record request_record(const RequestStory& story) {
  Record record{audit::Event::request, audit::Fields::object()};
  audit::Fields& fields = record.fields;
  fields.get_ref<audit::Fields::object_t&>().reserve(8);  // there is one for every request
  fields["method"] = story.method;
  fields["host"] = story.host;
  fields["path"] = story.path;
  fields["status"] = story.status;
  fields["bytesOut"] = story.bytes_out;
  fields["bytesIn"] = story.bytes_in;
  const auto took = std::chrono::steady_clock::now() - story.began;
  fields["durationMs"] = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  if (!story.swap.empty()) fields["swap"] = story.swap;
  if (!story.error.empty()) fields["error"] = story.error;
  return record;
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

// On either side: it wants windows.
bool speaks_http2(const LiveFlow& flow) {
  return is_http2(flow.protocol.shown) || flow.protocol.translation == Translation::to_http2;
}

// What the connection is inside its TLS, where its sides have not agreed on a protocol: whoever speaks first tells.
asio::awaitable<Content> look_inside(EarlyStream& guest, EarlyStream& upstream) {
  WordsReader reader;
  while (!reader.settled()) {
    const auto first = co_await (guest.read_ahead(kNever) || upstream.read_ahead(kNever));
    if (first.index() == 1 || std::get<0>(first).empty()) co_return Content::opaque;
    reader.feed(std::get<0>(first));
  }
  co_return reader.words().fault.empty() ? reader.words().content : Content::http1;
}

}  // namespace

// Judges the requests of one flow.
class Mediator::Gate final : public RequestGate {
 public:
  enum class Failure : std::uint8_t { to_record, recorded };
  Gate(Mediator& mediator, FlowPtr flow, Failure failure = Failure::to_record)
      : mediator_(mediator), alive_(mediator.alive_), flow_(std::move(flow)), failure_(failure) {}
  // With a connection of its own, and its share of memory.
  Gate(Mediator& mediator, FlowPtr flow, UpstreamLease upstream, RelayMemory::Share memory)
      : Gate(mediator, std::move(flow)) {
    lane_ = std::move(upstream);
    lane_memory_ = std::move(memory);
  }
  ~Gate() override {
    if (lane_ && !alive_.expired()) mediator_.keep_upstream(*flow_, std::move(*lane_));
  }

  std::optional<Refused> admit(http::RequestMessage& request) override {
    if (!is_for_flow(request.authority)) {
      return refuse(kMisdirected, request,
                    denial("the request is for another host than the connection",
                           "names: a request must be for the host that the connection is for",
                           policy::Signal::name_destination_mismatch));
    }
    const policy::Decision decision = mediator_.decide(*flow_, {request.method, request.path});
    if (!decision.allowed()) return refuse(403, request, denial_of(decision));
    if (flow_->swap && !is_tls()) {
      return refuse(403, request,
                    denial("a credential swap is for this host, and no credential goes over plain HTTP: use https",
                           "swap " + flow_->swap->name));
    }
    flow_->requests.push_back({request.method, request.path});
    return std::nullopt;
  }

  Refused refuse_malformed(const std::string& fault, bool json) override {
    Denial denied = denial("malformed: " + fault, "requests: everybody must read the same one");
    mediator_.write_denial(*flow_, denied);
    return {400, words_of(denied), refusal_body(denied, destination(), json)};
  }

  Refused upstream_failed(const std::string& what, bool json) override {
    // With TLS 1.3 a server says only after the handshake that it misses a certificate.
    const std::string why = flow_->asks_certificate ? fmt::format("{}; {}", what, kAsksCertificate) : what;
    if (failure_ == Failure::to_record) {
      mediator_.recorder_.write(flow_->audit_flow, upstream_error_record(flow_->open, flow_->host, why));
    }
    return {502, "microagent: " + why, failure_body(flow_->host, destination(), why, json)};
  }

  // Also called when the event loop destroys what it has not finished, and that is after the mediator's end.
  void record(const RequestStory& story) override {
    const auto is_over = [&story](const policy::Request& request) {
      return request.method == story.method && request.path == story.path;
    };
    if (const auto found = std::ranges::find_if(flow_->requests, is_over); found != flow_->requests.end()) {
      flow_->requests.erase(found);
    }
    if (alive_.expired()) return;
    constexpr std::uint16_t kUnauthorized = 401;
    if (story.credential != 0 && story.status == kUnauthorized) {
      mediator_.swapper_->refuse(*flow_->swap, story.credential);
    }
    mediator_.recorder_.write_later(flow_->audit_flow, request_record(story));
  }

  bool lacks_credential(const http::RequestMessage& request) override {
    if (!swaps() || !wants_credential(request)) return false;
    const auto known = mediator_.swapper_->at_hand(*flow_->swap);
    if (known) obtained_ = *known;
    return !known;
  }

  asio::awaitable<void> obtain_credential() override { obtained_ = co_await mediator_.swapper_->obtain(flow_->swap); }

  std::optional<Refused> equip(http::RequestMessage& request, RequestStory& story) override {
    if (!swaps()) return std::nullopt;
    http::ask_readable(request, flow_->swap->placement);
    if (!wants_credential(request)) return std::nullopt;
    const bool json = http::wants_json(request);
    if (!obtained_) return credential_failed(obtained_.error().message, json);
    story.given = *obtained_;
    mediator_.swapper_->send(*flow_->swap, story.given);
    if (!http::wants_secret(request, flow_->swap->placement)) return std::nullopt;  // its body may
    if (!http::place_secret(request, flow_->swap->placement, story.given.secret->view())) {
      return swap_failed("the request's head would become too long", json);
    }
    note_swap(story);
    return std::nullopt;
  }

  bool rewrites_body(const http::RequestMessage& request) override { return swaps() && has_body_for_secret(request); }

  BodyVerdict rewrite_body(const http::RequestMessage& request, std::string_view body, bool whole,
                           RequestStory& story) override {
    const std::string& placeholder = flow_->swap->placement.placeholder;
    const auto kind = http::text_kind(request.headers).value_or(http::TextKind::plain);
    if (!http::holds_placeholder(kind, body, placeholder)) return {};
    auto replaced = whole ? http::replace_in_body(kind, body, placeholder, story.given.secret->view()) : std::nullopt;
    if (!replaced) return {{}, refuse_long_body(http::wants_json(request))};
    note_swap(story);
    return {std::move(replaced), {}};
  }

  Refused lacks_memory(bool json) override {
    Refused refused = swap_failed("as much is looked through at the moment as there is memory for", json);
    refused.status = kServiceUnavailable;
    return refused;
  }

  http::SecretFormsPtr secrets(const RequestStory& story) override {
    return swaps() ? mediator_.swapper_->secrets(*flow_->swap, story) : http::SecretFormsPtr();
  }

  bool upstream_is_reused() const override { return lease().reused; }
  asio::awaitable<Stream*> replace_upstream() override { return mediator_.replace_upstream(flow_, lease()); }
  Stream* upstream() override { return lease().connection.stream.get(); }
  std::unique_ptr<RequestGate> open_lane() override {
    auto memory = mediator_.memory_.take(false);
    if (!memory) return nullptr;
    return std::make_unique<Gate>(mediator_, flow_, mediator_.take_upstream(*flow_), std::move(*memory));
  }
  Refused no_lane(const http::RequestMessage& request) override {
    return refuse(kServiceUnavailable, request,
                  denial("there are as many intercepted connections as there may be", "resources"));
  }
  std::shared_ptr<void> borrow(std::size_t bytes) override { return mediator_.memory_.lend(bytes); }
  std::uint32_t window() const override { return flow_->memory.window(); }
  void break_off() override { flow_->broken_off = true; }
  std::optional<http::Http2Session> take_session() override {
    return std::exchange(lease().connection.http2, std::nullopt);
  }
  void leave_session(http::Http2Session session) override {
    session.detach();
    lease().connection.http2 = std::move(session);
  }
  void leave_upstream_clean() override { lease().clean = true; }

 private:
  UpstreamLease& lease() { return lane_ ? *lane_ : flow_->upstream; }
  const UpstreamLease& lease() const { return lane_ ? *lane_ : flow_->upstream; }

  // The name that its upstream has proved, and nothing that a request says, gives a flow its swap.
  bool is_tls() const { return !flow_->leaf.empty(); }
  bool swaps() const { return flow_->swap && is_tls(); }
  bool wants_credential(const http::RequestMessage& request) const {
    return http::wants_secret(request, flow_->swap->placement) || has_body_for_secret(request);
  }
  bool has_body_for_secret(const http::RequestMessage& request) const {
    return flow_->swap->placement.in_body && http::text_kind(request.headers);
  }

  void note_swap(RequestStory& story) {
    story.swap = flow_->swap->name;
    story.credential = story.given.version;
    story.carried = story.given.secret;
    if (std::exchange(flow_->swapped, true)) return;
    mediator_.recorder_.write(flow_->audit_flow, swap_record(audit::Event::swap, *flow_));
  }

  Refused refuse_long_body(bool json) {
    constexpr std::uint16_t kContentTooLarge = 413;  // RFC 9110, 15.5.14
    const std::string error =
        fmt::format("the placeholder is replaced in bodies of up to {} bytes, which may grow to {}",
                    http::kMaxSwappedBody, http::kMaxGrownBody);
    Refused refused = swap_failed(error, json);
    refused.status = kContentTooLarge;
    return refused;
  }

  // Files, variables and token servers of the user's are none of the guest's business.
  Refused credential_failed(const std::string& error, bool json) {
    return swap_failed(error, "its credential cannot be had; the workspace's audit log says why", json);
  }
  Refused swap_failed(const std::string& error, bool json) { return swap_failed(error, error, json); }
  Refused swap_failed(const std::string& error, std::string_view told, bool json) {
    const std::string key = fmt::format("credential swap {}: {}", flow_->swap->name, error);
    mediator_.recorder_.write_or_count(key, flow_->audit_flow, [&] { return swap_error_record(*flow_, error); });
    const std::string why = fmt::format("credential swap {}: {}", flow_->swap->name, told);
    return {502, "microagent: " + why, failure_body(flow_->host, destination(), why, json)};
  }

  std::string destination() const { return endpoint_text(flow_->open.destination, flow_->open.protocol); }

  static std::string words_of(const Denial& denied) {
    return fmt::format("microagent refused this request: {}; {} ({})", denied.reason, denied.rule, denied.id);
  }

  Refused refuse(std::uint16_t status, const http::RequestMessage& request, Denial denied) {
    denied.host = flow_->host;
    Record record = deny_record(flow_->open, denied);
    record.fields["method"] = request.method;
    record.fields["path"] = request.path;
    mediator_.write_denial(*flow_, denied, std::move(record));
    return {status, words_of(denied), refusal_body(denied, destination(), http::wants_json(request))};
  }

  // The name that TLS, or the first request, gave; the address where none was given.
  bool is_for_flow(const http::Authority& authority) const {
    if (authority.port && *authority.port != flow_->facts.port) return false;
    if (flow_->facts.name.empty()) return authority.address && *authority.address == flow_->facts.destination;
    if (authority.address) {
      const auto named = policy::parse_address(flow_->facts.name);
      return named && *named == *authority.address;
    }
    const auto asked = policy::canonical_name(authority.host);
    return asked && asked == policy::canonical_name(flow_->facts.name);
  }

  Mediator& mediator_;
  std::weak_ptr<const bool> alive_;
  FlowPtr flow_;
  Failure failure_;                    // of the upstream
  std::optional<UpstreamLease> lane_;  // instead of the flow's
  RelayMemory::Share lane_memory_;
  // For the request that is next to be equipped.
  Result<credentials::Credential> obtained_ = fail(ErrorKind::transient, "there is no credential");
};

// The upstream first: what it is decides what the guest is shown.
asio::awaitable<void> Mediator::intercept(FlowPtr flow, policy::Decision decision, Fd upstream, FirstWords words) {
  flow->leaf = policy::canonical_name(words.name).value_or(host_text(flow->open.destination));
  flow->offered = words.alpn;
  if (!upstream && words.content == Content::tls && interceptor_) flow->upstream = take_upstream(*flow);
  if (!upstream && !flow->upstream.reused) upstream = co_await dial_late(flow, decision);
  if (!upstream && !flow->upstream.reused) co_return;
  if (words.content != Content::tls) {
    auto watched = watch(io_.get_executor(), std::move(upstream));
    if (!watched) co_return deny(flow, denial(watched.error().message, "resources"));
    flow->leaf.clear();
    co_return begin_relay(std::move(flow), std::move(decision), plain_stream(std::move(*watched)), std::move(words));
  }
  if (!interceptor_) {
    co_return deny(flow, denial("its requests cannot be read without the workspace's authority", decision.text));
  }
  if (!flow->upstream.reused) {
    auto connected = co_await connect_in_any_version(flow, std::move(upstream));
    if (flow->phase == Phase::gone) co_return account_for_gone(flow, decision);
    if (quarantined_) co_return deny(flow, denial("quarantined", "quarantine"));
    if (!connected) {
      const std::string name = flow->leaf;
      co_return tell_upstream_failure(std::move(flow), std::move(connected.error()), name, std::move(words));
    }
    flow->upstream.connection = {std::move(*connected)};
  }
  const tls::Connection& connection = flow->upstream.connection.stream->connection();
  flow->protocol = choose_protocol(flow->offered, connection.alpn());
  flow->asks_certificate = connection.asked_for_certificate();
  begin_relay(std::move(flow), std::move(decision), nullptr, std::move(words));
}

// An upstream that is not believed: a client that may read pages gets one that says so, any other an alert.
void Mediator::tell_upstream_failure(FlowPtr flow, UpstreamFailure failure, std::string name, FirstWords words) {
  recorder_.write(recorder_.new_flow(), upstream_error_record(flow->open, flow->host, failure.text, failure.fault));
  auto stream = open_guest_stream(io_.get_executor());
  if (!stream) return refuse(flow, flow::Refusal::reset);
  leave_caps(*flow, 0);
  flow->relay = std::make_unique<asio::steady_timer>(io_.get_executor(), kNever);
  splice(flow, std::move(stream->guests));
  spawn(io_.get_executor(), tell_why(std::move(flow), std::move(stream->ours), std::move(failure), std::move(name),
                                     offers(words.alpn, kAlpnHttp1)));
}

asio::awaitable<void> Mediator::tell_why(FlowPtr flow, Descriptor guest, UpstreamFailure failure, std::string name,
                                         bool page) {
  if (!page) {
    const auto alert = tls::encode_fatal_alert(failure.alert);
    co_return co_await serve_answer(std::move(guest), std::string(alert.begin(), alert.end()));
  }
  auto accepted = co_await interceptor_->accept(std::move(guest), std::move(name), std::string(kAlpnHttp1));
  if (!accepted) co_return;
  Gate gate(*this, flow, Gate::Failure::recorded);
  co_await (answer_with_failure(**accepted, failure.text, gate) || wait_until_gone(flow));
  if (!flow->closed) co_await part_from((*accepted)->descriptor());
}

void Mediator::begin_relay(FlowPtr flow, policy::Decision decision, StreamPtr clear, FirstWords words) {
  auto stream = open_guest_stream(io_.get_executor());
  if (!stream) return deny(flow, denial(stream.error().message, "resources"));
  auto memory = memory_for(*flow, words.content);
  if (!memory) return deny(flow, denial("there are as many intercepted connections as there may be", "resources"));
  flow->memory = std::move(*memory);
  const std::uint64_t audit_flow = recorder_.new_flow();
  decision.verdict = policy::Verdict::intercept;
  Record record = allow_record(flow->open, decision);
  if (flow->asks_certificate) record.fields["asksCertificate"] = true;
  if (flow->upstream.reused) record.fields["reused"] = true;
  if (flow->protocol.translation != Translation::none) {
    record.fields["translated"] =
        flow->protocol.translation == Translation::to_http1 ? "h2 to http/1.1" : "http/1.1 to h2";
  }
  if (!recorder_.write(audit_flow, record)) return refuse(flow, flow::Refusal::reset);
  flow->audit_flow = audit_flow;
  flow->relay = std::make_unique<asio::steady_timer>(io_.get_executor(), kNever);
  splice(flow, std::move(stream->guests));
  spawn(io_.get_executor(), relay(std::move(flow), std::move(stream->ours), std::move(clear), words.content));
}

// A connection that is used again keeps the windows that it has told its peer of.
std::optional<RelayMemory::Share> Mediator::memory_for(const LiveFlow& flow, Content content) {
  if (const auto& http2 = flow.upstream.connection.http2) return memory_.take_as_wide_as(http2->connection_window());
  return memory_.take(speaks_http2(flow) || content == Content::http2);
}

asio::awaitable<void> Mediator::relay(FlowPtr flow, Descriptor guest, StreamPtr clear, Content content) {
  if (content == Content::tls) {
    auto accepted = co_await interceptor_->accept(std::move(guest), flow->leaf, flow->protocol.shown);
    if (accepted) {
      co_await (relay_inside(flow, **accepted) || wait_until_gone(flow));
      keep_upstream(*flow, std::move(flow->upstream));
      if (!flow->closed) co_await part_from((*accepted)->descriptor());
    } else {
      recorder_.write(flow->audit_flow, handshake_error_record(*flow, accepted.error()));
    }
  } else {
    const StreamPtr clear_guest = plain_stream(std::move(guest));
    co_await (relay_as(flow, *clear_guest, *clear, http::Scheme::http, content) || wait_until_gone(flow));
    clear.reset();
    // Without TLS, an end in order would make a response that lasts until the end look whole.
    if (flow->broken_off && !flow->closed) netd_->kill(flow->id);
    if (!flow->broken_off && !flow->closed) co_await part_from(clear_guest->descriptor());
  }
  end_relay(flow);
}

asio::awaitable<void> Mediator::relay_inside(FlowPtr flow, Stream& guest) {
  constexpr auto kScheme = http::Scheme::https;
  if (flow->protocol.translation != Translation::none) co_return co_await relay_translated(flow, guest);
  Stream& upstream = *flow->upstream.connection.stream;
  const std::string_view alpn = flow->protocol.shown;
  if (is_http2(alpn)) co_return co_await relay_as(flow, guest, upstream, kScheme, Content::http2);
  if (is_http1(alpn)) co_return co_await relay_as(flow, guest, upstream, kScheme, Content::http1);
  if (!alpn.empty()) co_return co_await relay_as(flow, guest, upstream, kScheme, Content::opaque);
  EarlyStream early_guest(guest), early_upstream(upstream);
  const Content content = co_await look_inside(early_guest, early_upstream);
  co_await relay_as(flow, early_guest, early_upstream, kScheme, content);
}

asio::awaitable<void> Mediator::relay_translated(FlowPtr flow, Stream& guest) {
  constexpr auto kScheme = http::Scheme::https;
  Gate gate(*this, flow);
  if (flow->protocol.translation == Translation::to_http1) {
    co_return co_await relay_http2_to_http1(guest, kScheme, gate);
  }
  co_await relay_http1_to_http2(guest, *flow->upstream.connection.stream, kScheme, gate);
}

asio::awaitable<void> Mediator::relay_as(FlowPtr flow, Stream& guest, Stream& upstream, http::Scheme scheme,
                                         Content content) {
  Gate gate(*this, flow);
  if (content == Content::http2) co_return co_await relay_http2(guest, upstream, scheme, gate);
  if (content == Content::http1) co_return co_await relay_http1(guest, upstream, scheme, gate);
  // There are no requests to read; a rule that needs them does not let this pass.
  flow->facts.content = Content::opaque;
  const policy::Decision decision = decide(*flow);
  if (decision.allowed()) co_return co_await relay_bytes(guest, upstream);
  Denial denied = denial_of(decision);
  write_denial(*flow, denied);
}

// A guest that is gone has nothing more to hear; what it sent last may still go up.
asio::awaitable<void> Mediator::wait_until_gone(FlowPtr flow) {
  while (flow->relay->expiry() > std::chrono::steady_clock::now()) {
    co_await flow->relay->async_wait(kAsTuple);
  }
}

// The records of the requests come before that of the flow's end.
void Mediator::end_relay(const FlowPtr& flow) {
  flow->relay.reset();
  flow->upstream = {};
  flow->memory = {};
  if (!flow->closed) return;
  recorder_.write(flow->audit_flow, close_record(flow->open, flow->host, *flow->closed));
}

}  // namespace microagent::mediator
