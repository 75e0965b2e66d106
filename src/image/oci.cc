#include "image/oci.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/digest.h"

namespace microagent::image {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kArchitecture = "amd64", kSystem = "linux";
constexpr std::size_t kMaxLayers = 1024;
constexpr std::size_t kMaxWords = 128 * 1024;  // bytes of command, entrypoint and environment together

constexpr std::array<std::pair<std::string_view, int>, 31> kSignals{{
    {"HUP", 1},   {"INT", 2},     {"QUIT", 3},  {"ILL", 4},    {"TRAP", 5},  {"ABRT", 6},  {"BUS", 7},   {"FPE", 8},
    {"KILL", 9},  {"USR1", 10},   {"SEGV", 11}, {"USR2", 12},  {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}, {"STKFLT", 16},
    {"CHLD", 17}, {"CONT", 18},   {"STOP", 19}, {"TSTP", 20},  {"TTIN", 21}, {"TTOU", 22}, {"URG", 23},  {"XCPU", 24},
    {"XFSZ", 25}, {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28}, {"IO", 29},   {"PWR", 30},  {"SYS", 31},
}};
constexpr int kFirstRealTime = 34, kLastRealTime = 64;  // glibc keeps 32 and 33 for itself

tl::unexpected<Error> bad_document(std::string_view what, std::string_view why) {
  return fail(ErrorKind::permanent, fmt::format("the image's {} {}", what, why),
              "build the image anew with a tool that follows the OCI image specification");
}

Result<Json> parse(std::string_view text, std::string_view what) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return bad_document(what, "is no JSON object");
  return json;
}

// A member, null where there is none.
const Json& member(const Json& object, const char* key) {
  static const Json null;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : null;
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }

std::optional<std::string> digest_of(const Json& descriptor) {
  const std::string digest = text_of(member(descriptor, "digest"));
  const auto digits = digits_of_digest(digest);
  return digits ? std::optional<std::string>(*digits) : std::nullopt;
}

std::optional<int> number_of(std::string_view digits) {
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// Texts go to execve, which knows no zero bytes.
bool is_plain(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().find('\0') == std::string::npos;
}

Status read_text(const Json& config, const char* key, std::string& out) {
  const Json& value = member(config, key);
  if (value.is_null()) return {};
  if (!is_plain(value)) return bad_document("configuration", fmt::format("has a {} that is no text", key));
  out = value.get<std::string>();
  return {};
}

Status read_texts(const Json& config, const char* key, std::vector<std::string>& out) {
  const Json& value = member(config, key);
  if (value.is_null()) return {};
  if (!value.is_array() || !std::ranges::all_of(value, is_plain)) {
    return bad_document("configuration", fmt::format("has a {} that is no list of texts", key));
  }
  for (const Json& item : value) out.push_back(item.get<std::string>());
  return {};
}

Status check_size(const workspace::Image& image) {
  std::size_t size = 0;
  for (const auto* list : {&image.entrypoint, &image.command, &image.env}) {
    for (const std::string& text : *list) size += text.size() + 1;
  }
  if (size <= kMaxWords) return {};
  return bad_document("configuration", fmt::format("has more than {} bytes of words and variables", kMaxWords));
}

}  // namespace

std::optional<int> parse_signal(std::string_view text) {
  if (const auto number = number_of(text)) {
    return *number >= 1 && *number <= kLastRealTime ? number : std::nullopt;
  }
  if (text.starts_with("SIG")) text.remove_prefix(3);
  constexpr std::string_view kFirst = "RTMIN", kLast = "RTMAX";
  if (text == kFirst) return kFirstRealTime;
  if (text == kLast) return kLastRealTime;
  if (text.starts_with("RTMIN+") || text.starts_with("RTMAX-")) {
    const auto distance = number_of(text.substr(kFirst.size() + 1));
    if (!distance || *distance < 0 || *distance > kLastRealTime - kFirstRealTime) return std::nullopt;
    return text.starts_with(kFirst) ? kFirstRealTime + *distance : kLastRealTime - *distance;
  }
  const auto found = std::ranges::find(kSignals, text, [](const auto& signal) { return signal.first; });
  return found != kSignals.end() ? std::optional(found->second) : std::nullopt;
}

Result<std::optional<std::string>> pick_from_list(std::string_view text) {
  const auto json = parse(text, "manifest");
  if (!json) return fail(json.error());
  const Json& manifests = member(*json, "manifests");
  if (!manifests.is_array()) return std::optional<std::string>();
  std::string others;
  for (const Json& manifest : manifests) {
    const Json& platform = member(manifest, "platform");
    const std::string architecture = text_of(member(platform, "architecture"));
    const std::string system = text_of(member(platform, "os"));
    const auto digest = digest_of(manifest);
    if (architecture == kArchitecture && system == kSystem && digest) return digest;
    others += fmt::format("{}{}/{}", others.empty() ? "" : ", ", system, architecture);
  }
  return fail(ErrorKind::unsupported, fmt::format("the image is not for linux/amd64, only for: {}", others),
              "choose an image for linux/amd64");
}

Result<ImageManifest> parse_image_manifest(std::string_view text) {
  const auto json = parse(text, "manifest");
  if (!json) return fail(json.error());
  if (member(*json, "schemaVersion") != 2) {
    return fail(ErrorKind::unsupported, "the image's manifest is of a schema before version 2",
                "push the image anew with a tool of this decade");
  }
  const auto config = digest_of(member(*json, "config"));
  const Json& layers = member(*json, "layers");
  if (!config || !layers.is_array()) return bad_document("manifest", "names no configuration or no layers");
  if (layers.size() > kMaxLayers) return bad_document("manifest", fmt::format("has more than {} layers", kMaxLayers));
  ImageManifest manifest{*config, {}};
  for (const Json& layer : layers) {
    const auto digest = digest_of(layer);
    if (!digest) return bad_document("manifest", "names a layer by no SHA-256 digest");
    manifest.layers.push_back(*digest);
  }
  return manifest;
}

Result<workspace::Image> parse_image_config(std::string_view text) {
  const auto json = parse(text, "configuration");
  if (!json) return fail(json.error());
  const std::string architecture = text_of(member(*json, "architecture")), system = text_of(member(*json, "os"));
  if (architecture != kArchitecture || system != kSystem) {
    return fail(ErrorKind::unsupported, fmt::format("the image is for {}/{}", system, architecture),
                "choose an image for linux/amd64");
  }
  workspace::Image image;
  const Json& config = member(*json, "config");
  std::string signal;
  Status read = read_texts(config, "Entrypoint", image.entrypoint);
  if (read) read = read_texts(config, "Cmd", image.command);
  if (read) read = read_texts(config, "Env", image.env);
  if (read) read = read_text(config, "User", image.user);
  if (read) read = read_text(config, "WorkingDir", image.workdir);
  if (read) read = read_text(config, "StopSignal", signal);
  if (read) read = check_size(image);
  if (!read) return fail(read.error());
  if (!image.workdir.empty() && !image.workdir.starts_with('/')) image.workdir.insert(0, "/");
  std::erase_if(image.env, [](const std::string& variable) { return variable.find('=', 1) == std::string::npos; });
  if (signal.empty()) return image;
  const auto number = parse_signal(signal);
  if (!number) return bad_document("configuration", fmt::format("has the unknown StopSignal {}", signal.substr(0, 40)));
  image.stop_signal = *number;
  return image;
}

}  // namespace microagent::image
