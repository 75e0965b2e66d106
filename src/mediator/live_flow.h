#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dns/name_table.h"
#include "flow/messages.h"
#include "mediator/first_words.h"
#include "mediator/io.h"
#include "mediator/protocol_choice.h"
#include "mediator/relay_memory.h"
#include "mediator/upstream_connection.h"
#include "policy/decision.h"
#include "policy/swap.h"

namespace microagent::mediator {

// What is awaited while a guest's first bytes are looked at. `wake` expires at a deadline and is cancelled by news.
struct Look {
  explicit Look(const asio::any_io_executor& executor) : wake(executor) {}

  WordsReader reader;
  bool guest_ended = false;     // the guest sends no more
  bool upstream_spoke = false;  // or ended
  asio::steady_timer wake;
};

// A connection to an upstream, in the hands of who uses it.
struct UpstreamLease {
  UpstreamConnection connection;
  bool reused = false;  // it was another's before
  bool clean = false;   // and is left between two requests
};

// An admitted request that has not come to its end.
struct OpenRequest {
  policy::Request asked;
  std::chrono::steady_clock::time_point began;
  bool recorded = false;  // as one that goes on
};

// One flow from netd's question to its end; shared by the table and the coroutine that tells its story.
struct LiveFlow {
  enum class Phase : std::uint8_t {
    asked,    // netd waits for the first verdict
    looking,  // netd tells the first bytes and waits for the second
    settled,  // spliced, or served by ourselves
    gone,     // netd has said that it is over
  };

  flow::FlowId id = 0;
  flow::Open open;
  Phase phase = Phase::asked;
  policy::Facts facts;           // of upstream flows, as they were judged last
  dns::Pin names;                // keeps the names of the destination while the flow lives
  std::string host;              // whom it is for, as recorded
  Fd recorded;                   // its upstream, while the record of its being allowed is written
  std::uint64_t audit_flow = 0;  // 0: nothing to record at its end
  flow::BudgetId budget = flow::kNoBudget;
  bool mediation = false;  // one of the mediation channel's
  bool admitted = false;   // counted by the caps
  std::unique_ptr<Look> look;
  std::unique_ptr<asio::steady_timer> relay;  // of a flow that is intercepted: expires when its relay must end
  std::vector<OpenRequest> requests;          // of such a flow
  std::string leaf;                           // what its guest is shown
  ProtocolChoice protocol;                    // the same
  bool asks_certificate = false;              // its upstream wants one of the guest's
  policy::SwapPtr swap;                       // of the name that it is bound to; null: none
  bool swapped = false;                       // and has sent its credential
  UpstreamLease upstream;                     // where its TLS is opened
  std::vector<std::string> offered;           // protocols, by its guest
  RelayMemory::Share memory;                  // of its relay
  bool broken_off = false;                    // and was cut off within a response
  std::optional<flow::Closed> closed;         // how it ended, where its story was not told yet
};

using FlowPtr = std::shared_ptr<LiveFlow>;
using FlowTable = std::unordered_map<flow::FlowId, FlowPtr>;

}  // namespace microagent::mediator
