#include "cli/bytes_record.h"

#include "base/base64.h"

namespace microagent::cli {
namespace {

using Json = nlohmann::json;

bool is_text(const std::string& content) {
  try {
    (void)Json(content).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

}  // namespace

void add_bytes(Json& record, const std::string& key, const std::string& bytes) {
  if (is_text(bytes)) record[key] = bytes;
  else record[key + "Base64"] = base64(bytes);
}

}  // namespace microagent::cli
