// Mediator's story of a flow whose requests are read: both handshakes, and whichever relay fits what is inside.

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "mediator/early_stream.h"
#include "mediator/endpoint.h"
#include "mediator/explanation.h"
#include "mediator/guest_http.h"
#include "mediator/intercept_gate.h"
#include "mediator/io.h"
#include "mediator/mediator.h"
#include "mediator/relay.h"
#include "policy/host.h"

namespace microagent::mediator {
namespace {

using namespace asio::experimental::awaitable_operators;
using Phase = LiveFlow::Phase;
using policy::Content;

// A client that pins its server's certificate may look at it only when the handshake is done, and then hangs up.
constexpr std::chrono::seconds kAtSight{2};
constexpr const char* kDistrust =
    "the guest's client does not trust the workspace's authority; for one that pins certificates use "
    "--egress-passthrough";
constexpr const char* kWordless =
    "the guest's client ended the connection at the sight of the certificate: it may pin another; for one that does "
    "use --egress-passthrough";

Record handshake_error_record(const LiveFlow& flow, std::string error) {
  Record record{audit::Event::mitm_handshake_error, audit::Fields::object()};
  record.fields["host"] = flow.host;
  record.fields["error"] = std::move(error);
  return record;
}

// On either side: it wants windows.
bool speaks_http2(const LiveFlow& flow) {
  return is_http2(flow.protocol.shown) || flow.protocol.translation == Translation::to_http2;
}

// What the connection is inside its TLS, where its sides have not agreed on a protocol: whoever speaks first tells.
// Nothing where the guest ends without a word.
asio::awaitable<std::optional<Content>> look_inside(EarlyStream& guest, EarlyStream& upstream) {
  WordsReader reader;
  while (!reader.settled()) {
    const auto first = co_await (guest.read_ahead(kNever) || upstream.read_ahead(kNever));
    if (first.index() == 0 && !guest.socket().has_given()) co_return std::nullopt;
    if (first.index() == 1 || std::get<0>(first).empty()) co_return Content::opaque;
    reader.feed(std::get<0>(first));
  }
  co_return reader.words().fault.empty() ? reader.words().content : Content::http1;
}

}  // namespace

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
  leave_caps(*flow);
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
  if (clear) record.fields.erase("mitm");  // its requests are read, and there is no TLS to open
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
      const Deadline at_sight = in(kAtSight);
      co_await (relay_inside(flow, **accepted) || wait_until_gone(flow));
      note_wordless(*flow, **accepted, at_sight);
      keep_upstream(*flow, std::move(flow->upstream));
      if (!flow->closed) co_await part_from((*accepted)->descriptor());
    } else {
      const Interceptor::GuestFailure& failure = accepted.error();
      recorder_.write(flow->audit_flow, handshake_error_record(*flow, failure.distrusts ? kDistrust : failure.text));
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

void Mediator::note_wordless(const LiveFlow& flow, SocketStream& guest, Deadline at_sight) {
  if (guest.has_given() || std::chrono::steady_clock::now() >= at_sight) return;
  // Where the two have agreed on no protocol, the guest may have heard what it wanted to: a greeting.
  const auto& upstream = flow.upstream.connection.stream;
  if (flow.protocol.shown.empty() && upstream && upstream->has_given()) return;
  if (flow.closed && flow.closed->end == flow::End::killed) return;
  std::array<std::uint8_t, 1> byte{};
  const auto arrival = guest.take_unasked(byte);
  if (arrival && arrival->bytes == 0) recorder_.write(flow.audit_flow, handshake_error_record(flow, kWordless));
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
  const auto content = co_await look_inside(early_guest, early_upstream);
  co_await relay_as(flow, early_guest, early_upstream, kScheme, content.value_or(Content::unseen));
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
  if (content == Content::unseen) co_return;  // the guest is gone without a word that could have been read
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
