#pragma once

// What a flow's names are worth: which of them allow rules may use, and which deny rules must.

#include <string>
#include <vector>

#include "policy/decision.h"

namespace microagent::policy {

struct Claim {
  Address destination;                // unmapped
  std::vector<std::string> granting;  // allow and passthrough rules may use these
  std::vector<std::string> denying;   // deny rules must look at these
  // At the SYN several names may stand behind one address: the flow dies only if all of them are denied. Where no name
  // will come any more, one is enough.
  bool denied_only_by_all = false;
  bool invalid = false;  // the guest named something that is no host name
  Signal signal = Signal::none;
  std::string host;
};

Claim claim_of(const Facts& facts);

}  // namespace microagent::policy
