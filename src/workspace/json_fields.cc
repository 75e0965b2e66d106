#include "workspace/json_fields.h"

#include <fmt/format.h>

#include <utility>

namespace microagent::workspace {

using Json = nlohmann::json;

Error foreign_file(std::string_view file, std::string_view why) {
  return {ErrorKind::permanent, fmt::format("{}: {}", file, why),
          "restore the file, or remove the workspace with `microagent delete NAME`"};
}

JsonFields::JsonFields(const Json& object, std::string_view file, std::string path)
    : object_(object), file_(file), path_(std::move(path)) {
  if (object.is_object()) return;
  status_ =
      fail(foreign_file(file_, path_.empty() ? "is not an object" : fmt::format("\"{}\" is not an object", path_)));
}

const Json* JsonFields::find(const char* key, bool required) {
  asked_.emplace(key);
  if (!status_) return nullptr;
  const auto found = object_.find(key);
  if (found != object_.end()) return &*found;
  if (required) reject(key, "is missing");
  return nullptr;
}

const Json* JsonFields::nested(const char* key, bool required) { return find(key, required); }

void JsonFields::reject(const std::string& key, std::string_view why) {
  absorb(fail(foreign_file(file_, fmt::format("\"{}\" {}", path_of(key), why))));
}

void JsonFields::absorb(const Status& status) {
  if (status_ && !status) status_ = status;
}

void JsonFields::convert_list(const Json& value, const char* key, std::vector<std::string>& out) {
  if (!value.is_array()) return reject(key, "is not a list");
  std::vector<std::string> list;
  for (const Json& item : value) {
    if (!item.is_string()) return reject(key, "holds something that is not a string");
    list.push_back(item.get<std::string>());
  }
  out = std::move(list);
}

Status JsonFields::finish() {
  if (!status_) return status_;
  for (const auto& [key, value] : object_.items()) {
    if (!asked_.contains(key)) reject(key, "is unknown");
  }
  return status_;
}

Result<Json> parse_json(std::string_view text, std::string_view file) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fail(foreign_file(file, text.empty() ? "is empty" : "is not whole JSON"));
  return json;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json forwards_to_json(const std::vector<Forward>& forwards) {
  Json list = Json::array();
  for (const Forward& forward : forwards) {
    list.push_back({{"protocol", to_string(forward.protocol)},
                    {"host", forward.host},
                    {"hostPort", forward.host_port},
                    {"guestPort", forward.guest_port}});
  }
  return list;
}

Result<std::vector<Forward>> forwards_from_json(const Json& json, std::string_view file, std::string path) {
  if (!json.is_array()) return fail(foreign_file(file, fmt::format("\"{}\" is not a list", path)));
  std::vector<Forward> forwards;
  for (const Json& item : json) {
    Forward forward;
    std::string protocol;
    JsonFields fields(item, file, fmt::format("{}[{}].", path, forwards.size()));
    fields.read("protocol", protocol);
    fields.read("host", forward.host);
    fields.read("hostPort", forward.host_port);
    fields.read("guestPort", forward.guest_port);
    if (protocol == "udp") forward.protocol = Transport::udp;
    else if (protocol != "tcp") fields.reject("protocol", "is neither tcp nor udp");
    if (Status read = fields.finish(); !read) return fail(read.error());
    forwards.push_back(std::move(forward));
  }
  return forwards;
}

}  // namespace microagent::workspace
