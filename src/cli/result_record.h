#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace microagent::cli {

// A guest's result in a record: "result" is the JSON value that it is, else its text; bytes that are no UTF-8 come as
// "resultBase64".
nlohmann::json result_record(const std::string& content);

}  // namespace microagent::cli
