#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "workspace/upkeep.h"

namespace microagent::cli {

// How one life of a supervised workspace ended.
struct LifeEnd {
  // On request, by the guest's own wish, otherwise; or not at all: it stands still, and stays.
  enum class Kind { asked, done, failed, quarantined };
  Kind kind = Kind::failed;
  std::string detail;
};

struct NextLife {
  bool wanted = false;
  std::chrono::seconds pause{};  // before it begins
  std::uint32_t number = 0;      // of the restarts in a row
};

// Counts restarts, and says whether and when the next one is.
class RestartPlan {
 public:
  static constexpr std::chrono::seconds kFirstPause{1}, kLongestPause{60};
  static constexpr std::chrono::seconds kSettled{600};  // a life as long as this begins a new count

  NextLife next(const workspace::Restart& restart, const LifeEnd& end, std::chrono::seconds age);

 private:
  std::uint32_t number_ = 0;
  std::chrono::seconds pause_ = kFirstPause;
};

}  // namespace microagent::cli
