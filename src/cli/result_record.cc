#include "cli/result_record.h"

#include "cli/bytes_record.h"

namespace microagent::cli {

nlohmann::json result_record(const std::string& content) {
  nlohmann::json record = {{"bytes", content.size()}};
  nlohmann::json value = nlohmann::json::parse(content, nullptr, false);
  if (!value.is_discarded()) record["result"] = std::move(value);
  else add_bytes(record, "result", content);
  return record;
}

}  // namespace microagent::cli
