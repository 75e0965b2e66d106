#pragma once

// One query on its way through the resolvers, as a state machine that knows no socket: it says whom to ask next and how
// long to wait, and judges what comes back. The caller opens a fresh socket, thus a fresh source port, per attempt.
//
//   while (auto attempt = lookup.next()) { ask; lookup.on_answer(...) until it is not `ignored`, or time is up }
//   send lookup.reply()

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "dns/message.h"
#include "dns/records.h"
#include "dns/resolvers.h"

namespace microagent::dns {

enum class Transport { udp, tcp };

// However many resolvers there are, the guest has its answer within this.
inline constexpr std::chrono::milliseconds kLookupCeiling{5000};

class Lookup {
 public:
  // `random_id` gives 16 bits that nobody can guess.
  Lookup(Query query, Transport asked_over, std::vector<Resolver> resolvers, std::function<std::uint16_t()> random_id);

  struct Attempt {
    Resolver resolver;
    Transport transport{};
    std::chrono::milliseconds timeout{};
    Bytes message;
  };

  // The next resolver to ask: all of them in order, twice; TCP when the guest asked so or the same resolver's answer
  // was truncated. Nothing once the lookup is settled or everybody has failed.
  std::optional<Attempt> next();

  enum class Outcome {
    ignored,  // not the answer to this attempt: over UDP keep waiting, over TCP give the attempt up
    settled,  // reply() is final
    failed,   // an answer that another resolver, or TCP, may better, or one that nobody can read: go on with next()
  };
  Outcome on_answer(ByteView message);

  const Query& query() const { return query_; }
  bool settled() const { return settled_; }
  // What the guest is told: the settled answer, else the best of the failed ones, else SERVFAIL. Without keys for
  // Encrypted ClientHello.
  Bytes reply() const;

  // Of a settled lookup: what its answer says, and the answer itself, without those keys.
  const Digest* digest() const { return settled_ ? &best_->digest : nullptr; }
  const Bytes& answer() const { return best_->message; }

 private:
  struct Candidate {
    Resolver resolver;
    bool answered = false;  // badly: no use in asking again
  };

  struct Best {
    Bytes message;
    Digest digest;
  };

  Query query_;
  Transport asked_over_;
  std::vector<Candidate> candidates_;
  std::function<std::uint16_t()> random_id_;
  std::size_t turn_ = 0;
  std::optional<std::size_t> retry_over_tcp_;
  std::size_t current_ = 0;
  Transport current_transport_{};
  std::uint16_t current_id_ = 0;
  std::optional<Best> best_;
  bool settled_ = false;
};

}  // namespace microagent::dns
