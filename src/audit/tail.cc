#include "audit/tail.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/chain.h"

namespace microagent::audit {
namespace {

// Far below kMaxLine: hosts and addresses are below 300 bytes each.
constexpr std::size_t kFlowsALine = 100;

bool note(Tail& tail, const ParsedRecord& record) {
  tail.last_seq = record.seq;
  tail.last_flow = std::max(tail.last_flow, record.flow);
  if (record.event == Event::rotated) {
    if (!read_open_flows(record, tail.open)) return false;
    const auto last = record.fields.find("lastFlow");
    if (last != record.fields.end() && last->is_number_unsigned()) {
      tail.last_flow = std::max(tail.last_flow, last->get<std::uint64_t>());
    }
  }
  if (const auto closing = closing_event(record.event)) {
    tail.open[record.flow] = OpenFlow{*closing, record.text("host"), record.text("dst")};
  } else if (ends_flow(record.event)) {
    tail.open.erase(record.flow);
  }
  return true;
}

}  // namespace

Fields encode_open_flows(OpenFlows::const_iterator& begin, OpenFlows::const_iterator end) {
  Fields list = Fields::array();
  for (; begin != end && list.size() < kFlowsALine; ++begin) {
    const OpenFlow& open = begin->second;
    list.push_back(Fields::array({begin->first, to_string(open.closing), open.host, open.dst}));
  }
  return list;
}

bool read_open_flows(const ParsedRecord& record, OpenFlows& out) {
  const auto list = record.fields.find("open");
  if (list == record.fields.end() || !list->is_array()) return false;
  for (const Fields& item : *list) {
    if (!item.is_array() || item.size() != 4 || !item[0].is_number_unsigned()) return false;
    if (!std::all_of(item.begin() + 1, item.end(), [](const Fields& part) { return part.is_string(); })) return false;
    const auto closing = event_from_string(item[1].get<std::string>());
    if (!closing) return false;
    out[item[0].get<std::uint64_t>()] = OpenFlow{*closing, item[2].get<std::string>(), item[3].get<std::string>()};
  }
  return true;
}

Result<Tail> read_tail(int fd, std::string_view name) {
  Tail tail;
  std::string last_line;
  const auto on_line = [&](std::uint64_t number, std::string_view line) -> Status {
    const auto record = parse_record(line);
    if (!record || !note(tail, *record)) {
      return fail(ErrorKind::permanent, fmt::format("{}: line {} is not an audit record", name, number),
                  "move the file away; the workspace starts a new one");
    }
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
