#include "workspace/image.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "workspace/json_fields.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

constexpr int kMaxSignal = 64;

}  // namespace

Json manifest_json(const Image& image) {
  return {{"reference", image.reference},
          {"digest", image.digest},
          {"entrypoint", image.entrypoint},
          {"command", image.command},
          {"env", image.env},
          {"user", image.user},
          {"workdir", image.workdir},
          {"stopSignal", image.stop_signal}};
}

Result<Image> image_from_json(const Json& json, std::string_view file) {
  Image image;
  JsonFields fields(json, file, "image.");
  fields.read("reference", image.reference);
  fields.read("digest", image.digest);
  fields.read("entrypoint", image.entrypoint);
  fields.read("command", image.command);
  fields.read("env", image.env);
  fields.read("user", image.user);
  fields.read("workdir", image.workdir);
  fields.read("stopSignal", image.stop_signal);
  if (!digits_of_digest(image.digest)) fields.reject("digest", "is no digest");
  if (image.stop_signal < 0 || image.stop_signal > kMaxSignal) fields.reject("stopSignal", "is no signal");
  if (Status read = fields.finish(); !read) return fail(read.error());
  return image;
}

Json image_record(const Image& image) {
  Json record = {{"reference", image.reference}};
  if (!image.digest.empty()) record["digest"] = image.digest;
  if (!image.entrypoint.empty()) record["entrypoint"] = image.entrypoint;
  if (!image.command.empty()) record["command"] = image.command;
  if (!image.user.empty()) record["user"] = image.user;
  if (!image.workdir.empty()) record["workdir"] = image.workdir;
  if (image.stop_signal != 0) record["stopSignal"] = image.stop_signal;
  if (image.env.empty()) return record;
  Json names = Json::array();
  for (const std::string& variable : image.env) names.push_back(variable.substr(0, variable.find('=')));
  record["envNames"] = std::move(names);
  return record;
}

}  // namespace microagent::workspace
