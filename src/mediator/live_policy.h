#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/policy.h"

namespace microagent::mediator {

// The policy in force: as it was written, compiled, and counted. Every change replaces the whole or nothing.
class LivePolicy {
 public:
  // Kind usage when the text is no policy.
  static Result<LivePolicy> make(policy::PolicyText text);

  const policy::Policy& policy() const { return policy_; }
  const policy::PolicyText& text() const { return text_; }
  std::uint64_t version() const { return version_; }  // 1 at first, one more with every change

  // `next` takes the place of all of it but the count.
  void replace(LivePolicy next);

  // Whether what a guest calls its destination can change what becomes of a flow. Where it cannot, nobody must wait for
  // a guest's first bytes.
  bool names_matter() const { return names_matter_; }

 private:
  LivePolicy(policy::PolicyText text, policy::Policy policy);

  policy::PolicyText text_;
  policy::Policy policy_;
  std::uint64_t version_ = 1;
  bool names_matter_ = false;
};

}  // namespace microagent::mediator
