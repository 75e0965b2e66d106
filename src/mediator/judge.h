#pragma once

// From netd's question about a flow to what becomes of it: the policy's answer, or one of our own services.

#include <string>

#include "flow/messages.h"
#include "mediator/config.h"

namespace microagent::mediator {

enum class Service {
  none,       // denied
  upstream,   // dial the destination
  dns,        // our forwarder answers
  agent,      // the guest's init speaks with us
  mediation,  // the mediation channel's target is dialled
};

struct Judgement {
  Service service = Service::none;
  policy::Address destination;  // of IP flows
  bool internal = false;        // denied because the destination is inside
  bool unlisted = false;        // allowed by no rule in particular
  std::string reason;           // why it was denied
  std::string rule;             // what decided
};

Judgement denied(std::string reason, std::string rule);

// The questions of the gateway's and the declared resolvers' port 53 are for our forwarder; the agent's vsock port and
// the declared one are served; every other IP flow is for the policy. What is no question at all is denied.
Judgement judge(const Config& config, const policy::Surroundings& surroundings, const flow::Open& open);

}  // namespace microagent::mediator
