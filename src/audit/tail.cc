#include "audit/tail.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/chain.h"

namespace microagent::audit {
namespace {

void note(Tail& tail, const ParsedRecord& record) {
  tail.last_seq = record.seq;
  tail.last_flow = std::max(tail.last_flow, record.flow);
  if (const auto closing = closing_event(record.event)) {
    tail.open[record.flow] = OpenFlow{*closing, record.host, record.dst};
  } else if (ends_flow(record.event)) {
    tail.open.erase(record.flow);
  }
}

}  // namespace

Result<Tail> read_tail(int fd, std::string_view name) {
  Tail tail;
  std::string last_line;
  const auto on_line = [&](std::uint64_t number, std::string_view line) -> Status {
    const auto record = parse_record(line);
    if (!record) {
      return fail(ErrorKind::permanent, fmt::format("{}: line {} is not an audit record", name, number),
                  "move the file away; the workspace starts a new one");
    }
    note(tail, *record);
    last_line.assign(line);
    return {};
  };
  auto totals = for_each_line(fd, name, on_line);
  if (!totals) return fail(totals.error());
  tail.totals = *totals;
  tail.prev = totals->lines == 0 ? std::string(kChainStart) : line_hash(last_line);
  return tail;
}

}  // namespace microagent::audit
