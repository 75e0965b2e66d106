#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace microagent::supervisor {

// What a process has used so far.
struct ProcessUsage {
  double cpu_seconds = 0;            // in user and kernel mode, of all its threads
  std::uint64_t resident_bytes = 0;  // of memory
  std::uint64_t shared_bytes = 0;    // of those in memory files: the guest's memory, in each process that maps it
};

// Reads /proc. A child of ours that has not been reaped is the one that is meant; nothing of one that is gone.
std::optional<ProcessUsage> read_process_usage(pid_t pid);

// The text of /proc/PID/stat and of /proc/PID/status (proc(5)).
std::optional<ProcessUsage> parse_process_usage(std::string_view stat, std::string_view status,
                                                std::uint64_t ticks_per_second);

}  // namespace microagent::supervisor
