#pragma once

// From netd's question about a flow to who answers it: one of our own services, or the policy about an upstream.

#include "flow/messages.h"
#include "mediator/config.h"
#include "mediator/denial.h"
#include "policy/decision.h"

namespace microagent::mediator {

enum class Service {
  none,       // denied
  upstream,   // for the policy: decide(), dial
  dns,        // our forwarder answers
  page,       // http://policy.microagent/
  agent,      // the guest's init speaks with us
  mediation,  // the mediation channel's target is dialled
};

struct Judgement {
  Service service = Service::none;
  policy::Facts facts;            // of IP flows: what the question itself says
  bool foreign_resolver = false;  // DNS for another than the gateway and the declared resolvers
  std::string rule;               // what makes a service serve: of the mediation channel
  Denial denial;                  // where there is no service
};

// Port 53, wherever it leads, is for our forwarder, in mode off only the gateway's and the declared resolvers'; port 80
// of the gateway is the page; the agent's vsock port and the declared one are served; every other IP flow is for the
// policy. What is no question at all is denied.
Judgement judge(const Config& config, policy::Mode mode, const flow::Open& open);

}  // namespace microagent::mediator
