#include "cli/egress_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace microagent::cli {
namespace {

using audit::ParsedRecord;

// Its status is 0 where it had no answer.
std::string request_of(const ParsedRecord& record) {
  const std::string method = record.text("method");
  if (method.empty()) return {};
  const auto status = record.fields.find("status");
  const bool answered = status != record.fields.end() && *status != 0;
  return fmt::format("{} {}{}", method, record.text("path"), answered ? " " + status->dump() : "");
}

}  // namespace

std::string words_of(const ParsedRecord& record) {
  std::vector<std::string> words;
  if (std::string request = request_of(record); !request.empty()) words.push_back(std::move(request));
  for (const char* key :
       {"reason", "fault", "error", "signal", "end", "wouldDeny", "rule", "decision", "swap", "type", "translated"}) {
    if (std::string text = record.text(key); !text.empty()) words.push_back(fmt::format("{}: {}", key, text));
  }
  for (const char* key : {"wouldDeny", "mitm", "reused", "asksCertificate"}) {
    const auto found = record.fields.find(key);
    if (found != record.fields.end() && *found == true) words.emplace_back(key);
  }
  for (const char* key : {"bytesOut", "bytesIn", "count"}) {
    if (record.fields.contains(key)) words.push_back(fmt::format("{}: {}", key, record.fields[key].dump()));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace microagent::cli
