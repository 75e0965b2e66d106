// The connections to the upstreams of flows whose TLS is opened: made, kept for the next flow, and replaced.

#include <utility>

#include "mediator/endpoint.h"
#include "mediator/mediator.h"

namespace microagent::mediator {

UpstreamKey Mediator::upstream_key(const LiveFlow& flow) const {
  return {flow.leaf, endpoint_text(flow.open.destination, flow.open.protocol), flow.offered};
}

// One that is the flow's already, or was another's before; none where there is none.
UpstreamLease Mediator::take_upstream(LiveFlow& flow) {
  if (flow.upstream.connection) return std::exchange(flow.upstream, {});
  auto kept = pool_.take(upstream_key(flow),
                         [this, &flow](const UpstreamConnection& kept) { return may_go_on_with(flow, kept); });
  const bool reused = static_cast<bool>(kept);
  return {std::move(kept), reused};
}

// The first upstream of a flow decides what its guest is shown, and how wide the windows are; any other must be like
// it.
bool Mediator::may_go_on_with(const LiveFlow& flow, const UpstreamConnection& kept) {
  if (flow.relay) return is_as_before(flow, kept.stream->connection().alpn());
  return !kept.http2 || memory_.take_as_wide_as(kept.http2->connection_window());
}

// For the next flow, where this one leaves it as if it were new. One that asks for a certificate may answer some
// requests only after another handshake, which there will never be.
void Mediator::keep_upstream(const LiveFlow& flow, UpstreamLease lease) {
  if (!lease.connection || !lease.clean) return;
  if (flow.asks_certificate || quarantined_ || is_forbidden(flow)) return lease.connection.part();
  if (is_http2(lease.connection.stream->connection().alpn()) != lease.connection.http2.has_value()) return;
  pool_.put(upstream_key(flow), std::move(lease.connection));
}

asio::awaitable<Interceptor::Connected> Mediator::connect_upstream(FlowPtr flow, Fd upstream,
                                                                   std::vector<std::string> offer) {
  auto watched = watch(io_.get_executor(), std::move(upstream));
  if (!watched) co_return tl::unexpected(UpstreamFailure{{}, watched.error().message});
  const UpstreamKey key = upstream_key(*flow);
  co_return co_await interceptor_->connect(std::move(*watched), key.name, key.address, std::move(offer));
}

// What the guest offers, so that nothing need be translated; the other version of HTTP where the upstream knows none of
// that.
asio::awaitable<Interceptor::Connected> Mediator::connect_in_any_version(FlowPtr flow, Fd upstream) {
  auto connected = co_await connect_upstream(flow, std::move(upstream), flow->offered);
  auto other = other_version(flow->offered);
  if (connected || !connected.error().refuses_protocols || other.empty() || flow->phase == LiveFlow::Phase::gone) {
    co_return connected;
  }
  auto dialled = co_await dial_again(*flow);
  if (!dialled) co_return tl::unexpected(UpstreamFailure{{}, dialled.error().text});
  co_return co_await connect_upstream(flow, std::move(*dialled), std::move(other));
}

asio::awaitable<tl::expected<Fd, DialError>> Mediator::dial_again(const LiveFlow& flow) {
  return dial({flow.open.protocol, flow.facts.destination, flow.facts.port.value_or(0)}, in(kDialTimeout));
}

// It is verified like the first one, and must be the same to the guest.
asio::awaitable<tl::expected<Stream*, UpstreamFailure>> Mediator::replace_upstream(FlowPtr flow, UpstreamLease& lease) {
  lease = {};
  auto dialled = co_await dial_again(*flow);
  if (!dialled) co_return tl::unexpected(UpstreamFailure{{}, std::move(dialled.error().text)});
  auto connected = co_await connect_in_any_version(flow, std::move(*dialled));
  if (!connected) co_return tl::unexpected(std::move(connected.error()));
  if (!is_as_before(*flow, (*connected)->connection().alpn())) {
    co_return tl::unexpected(UpstreamFailure{{}, "the upstream speaks another protocol than before"});
  }
  flow->asks_certificate = (*connected)->connection().asked_for_certificate();
  lease.connection = {std::move(*connected)};
  co_return lease.connection.stream.get();
}

bool Mediator::is_as_before(const LiveFlow& flow, std::string_view alpn) {
  const ProtocolChoice choice = choose_protocol(flow.offered, alpn);
  return choice.shown == flow.protocol.shown && choice.translation == flow.protocol.translation;
}

}  // namespace microagent::mediator
