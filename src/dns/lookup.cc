#include "dns/lookup.h"

#include <utility>

namespace microagent::dns {
namespace {

constexpr std::size_t kRounds = 2;
constexpr std::chrono::milliseconds kTcpTimeout{3000};

bool worth_another_resolver(Rcode rcode) {
  return rcode == Rcode::server_failure || rcode == Rcode::not_implemented || rcode == Rcode::refused;
}

}  // namespace

Lookup::Lookup(Query query, Transport asked_over, std::vector<Resolver> resolvers,
               std::function<std::uint16_t()> random_id)
    : query_(std::move(query)), asked_over_(asked_over), random_id_(std::move(random_id)) {
  for (Resolver& resolver : resolvers) candidates_.push_back({std::move(resolver)});
}

std::optional<Lookup::Attempt> Lookup::next() {
  if (settled_) return std::nullopt;
  if (const auto again = std::exchange(retry_over_tcp_, std::nullopt)) {
    current_ = *again;
    current_transport_ = Transport::tcp;
  } else {
    while (turn_ < kRounds * candidates_.size() && candidates_[turn_ % candidates_.size()].answered) ++turn_;
    if (turn_ >= kRounds * candidates_.size()) return std::nullopt;
    current_ = turn_++ % candidates_.size();
    current_transport_ = asked_over_;
  }

  current_id_ = random_id_();
  Attempt attempt{candidates_[current_].resolver, current_transport_, kTcpTimeout, encode_query(query_, current_id_)};
  if (current_transport_ == Transport::udp) attempt.timeout = kLookupCeiling / (kRounds * candidates_.size());
  return attempt;
}

Lookup::Outcome Lookup::on_answer(ByteView message) {
  const auto answer = parse_answer(message, current_id_, query_.question);
  if (!answer) return Outcome::ignored;
  auto digest = examine(message, query_.question);
  if (!digest) {
    candidates_[current_].answered = true;
    return Outcome::failed;
  }
  Bytes kept = digest->rewritten ? std::move(*digest->rewritten) : Bytes(message.begin(), message.end());
  Best best{std::move(kept), std::move(*digest)};
  if (worth_another_resolver(answer->rcode)) {
    candidates_[current_].answered = true;
    if (!best_) best_ = std::move(best);
    return Outcome::failed;
  }
  best_ = std::move(best);
  if (answer->truncated && current_transport_ == Transport::udp) {
    retry_over_tcp_ = current_;
    return Outcome::failed;
  }
  settled_ = true;
  return Outcome::settled;
}

Bytes Lookup::reply() const {
  if (best_) return deliver(query_, best_->message, asked_over_ == Transport::udp);
  const ExtendedError nobody{ErrorCode::network_error, "no resolver is configured"};
  const ExtendedError silence{ErrorCode::no_reachable_authority, "no resolver gave an answer"};
  return encode_answer(query_, Rcode::server_failure, candidates_.empty() ? nobody : silence);
}

}  // namespace microagent::dns
