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
using OpenFlows = std::map<std::uint64_t, OpenFlow>;

// The flows that are open, as the first records of a file say them (Event::rotated, key `open`): so the file alone
// tells what an earlier process left open. A list of as many as fit one line, and the rest.
Fields encode_open_flows(OpenFlows::const_iterator& begin, OpenFlows::const_iterator end);
// False where the record has no such list.
bool read_open_flows(const ParsedRecord& record, OpenFlows& out);

struct Tail {
  std::uint64_t last_seq = 0;
  std::uint64_t last_flow = 0;
  std::string prev;  // for the next record
  OpenFlows open;
  LineTotals totals;
};

// Fails on a whole line that is not a record of ours: such a file was not written by this program, or was damaged.
Result<Tail> read_tail(int fd, std::string_view name);

}  // namespace microagent::audit
