#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace microagent::netstack {

// Packets of the guest that are no flow and were dropped, counted by IP protocol, so that whoever keeps the record
// hears of them: one report for each protocol, and further ones while its count changes, two seconds apart at least.
class DroppedPackets {
 public:
  static constexpr std::uint64_t kReportInterval = 2'000'000'000;  // ns

  void count(std::uint8_t protocol);

  struct Report {
    std::uint8_t protocol = 0;
    std::uint64_t packets = 0;  // since the process began
  };
  // What is due to be told: call until there is nothing.
  std::optional<Report> next_report(std::uint64_t now);
  // When to ask again; nothing: not before another packet is dropped.
  std::optional<std::uint64_t> deadline() const;

 private:
  struct Count {
    std::uint8_t protocol = 0;
    std::uint64_t packets = 0, reported = 0;
    std::uint64_t due_at = 0;
  };

  std::vector<Count> counts_;  // one for each protocol that was ever seen, 256 at most
};

}  // namespace microagent::netstack
