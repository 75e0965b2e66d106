#include "netstack/dropped.h"

#include <algorithm>

namespace microagent::netstack {

void DroppedPackets::count(std::uint8_t protocol) {
  auto found = std::ranges::find(counts_, protocol, &Count::protocol);
  if (found == counts_.end()) found = counts_.insert(counts_.end(), Count{.protocol = protocol});
  ++found->packets;
}

std::optional<DroppedPackets::Report> DroppedPackets::next_report(std::uint64_t now) {
  for (Count& count : counts_) {
    if (count.packets == count.reported || now < count.due_at) continue;
    count.reported = count.packets;
    count.due_at = now + kReportInterval;
    return Report{count.protocol, count.packets};
  }
  return std::nullopt;
}

std::optional<std::uint64_t> DroppedPackets::deadline() const {
  std::optional<std::uint64_t> first;
  for (const Count& count : counts_) {
    if (count.packets != count.reported && (!first || count.due_at < *first)) first = count.due_at;
  }
  return first;
}

}  // namespace microagent::netstack
