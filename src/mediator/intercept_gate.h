#pragma once

// Judges the requests of one intercepted flow by the workspace's policy, gives them their credentials, and writes the
// record of each.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mediator/mediator.h"
#include "mediator/request_gate.h"

namespace microagent::mediator {

class Mediator::Gate final : public RequestGate {
 public:
  // Of the upstream: is it in the audit log already?
  enum class Failure : std::uint8_t { to_record, recorded };

  Gate(Mediator& mediator, FlowPtr flow, Failure failure = Failure::to_record);
  // With a connection of its own, and its share of memory.
  Gate(Mediator& mediator, FlowPtr flow, UpstreamLease upstream, RelayMemory::Share memory);
  ~Gate() override;

  std::optional<Refused> admit(http::RequestMessage& request, RequestStory& story) override;
  Refused refuse_malformed(const std::string& fault, bool json) override;
  Refused refuse_slow() override;
  Refused upstream_failed(const std::string& what, bool json) override;
  void record(const RequestStory& story) override;

  std::uint32_t window() const override { return flow_->memory.window(); }
  std::shared_ptr<void> borrow(std::size_t bytes) override { return mediator_.memory_.lend(bytes); }

  bool upstream_is_reused() const override { return lease().reused; }
  asio::awaitable<Replacement> replace_upstream() override;
  bool can_replace_upstream() const override { return is_tls(); }
  void drop_upstream() override { lease() = {}; }
  void break_off() override { flow_->broken_off = true; }
  std::unique_ptr<RequestGate> open_lane() override;
  Refused no_room(const http::RequestMessage& request) override;
  Stream* upstream() override { return lease().connection.stream.get(); }
  std::optional<http::Http2Session> take_session() override;
  void leave_session(http::Http2Session session) override;
  void leave_upstream_clean() override { lease().clean = true; }

  bool lacks_credential(const http::RequestMessage& request) override;
  asio::awaitable<void> obtain_credential() override;
  std::optional<Refused> equip(http::RequestMessage& request, RequestStory& story) override;
  bool rewrites_body(const http::RequestMessage& request) override;
  BodyVerdict rewrite_body(const http::RequestMessage& request, std::string_view body, bool whole,
                           RequestStory& story) override;
  Refused lacks_memory(bool json) override;
  http::SecretFormsPtr secrets(const RequestStory& story) override;

 private:
  UpstreamLease& lease() { return lane_ ? *lane_ : flow_->upstream; }
  const UpstreamLease& lease() const { return lane_ ? *lane_ : flow_->upstream; }

  // The name that its upstream has proved, and nothing that a request says, gives a flow its swap.
  bool is_tls() const { return !flow_->leaf.empty(); }
  bool swaps() const { return flow_->swap && is_tls(); }
  bool wants_credential(const http::RequestMessage& request) const;
  bool has_body_for_secret(const http::RequestMessage& request) const;
  // False where it cannot be written down: the credential goes nowhere.
  bool note_swap(RequestStory& story);
  // The guest is `told` why, and what it is told may be less than the `error` that the record has.
  Refused swap_failed(const std::string& error, std::string_view told, bool json);
  Refused swap_failed(const std::string& error, bool json) { return swap_failed(error, error, json); }
  Refused refuse_long_body(bool json);

  std::string destination() const;
  bool is_for_flow(const http::RequestMessage& request) const;
  Refused refuse(std::uint16_t status, const http::RequestMessage& request, Denial denied);
  Refused refuse_unrecorded(const http::RequestMessage& request);

  Mediator& mediator_;
  std::weak_ptr<const bool> alive_;
  FlowPtr flow_;
  Failure failure_;
  std::string fault_;                  // of the certificate that a new upstream has shown
  std::optional<UpstreamLease> lane_;  // instead of the flow's
  RelayMemory::Share lane_memory_;
  // For the request that is next to be equipped.
  Result<credentials::Credential> obtained_ = fail(ErrorKind::transient, "there is no credential");
};

}  // namespace microagent::mediator
