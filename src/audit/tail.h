#pragma once

// What an existing log says about how to go on with it.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "audit/lines.h"
#include "audit/record.h"

namespace microagent::audit {

struct OpenFlow {
  Event closing{};
  std::string host, dst;
};

struct Tail {
  std::uint64_t last_seq = 0;
  std::uint64_t last_flow = 0;
  std::string prev;                        // for the next record
  std::map<std::uint64_t, OpenFlow> open;  // flows without an end
  LineTotals totals;
};

// Fails on a whole line that is not a record of ours: such a file was not written by this program, or was damaged.
Result<Tail> read_tail(int fd, std::string_view name);

}  // namespace microagent::audit
