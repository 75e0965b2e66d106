// The JSON documents of an image: a list of manifests, a manifest, a configuration, as the input's first byte says.
// What is taken from them has to fit into digests' file names, an execve, and the record that is kept of it.

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "image/oci.h"
#include "workspace/state.h"

namespace microagent::image {
namespace {

void check_digest(const std::string& digest) {
  MICROAGENT_CHECK(digest.size() == 64);
  MICROAGENT_CHECK(digest.find_first_not_of("0123456789abcdef") == std::string::npos);
}

bool is_plain(const std::string& text) { return text.find('\0') == std::string::npos; }

void check_config(std::string_view text) {
  auto image = parse_image_config(text);
  if (!image) return;
  image->digest = "sha256:" + std::string(64, 'a');
  for (const auto* words : {&image->entrypoint, &image->command, &image->env}) {
    MICROAGENT_CHECK(std::ranges::all_of(*words, is_plain));
  }
  MICROAGENT_CHECK(is_plain(image->user) && is_plain(image->workdir));
  MICROAGENT_CHECK(image->workdir.empty() || image->workdir.front() == '/');
  MICROAGENT_CHECK(image->stop_signal >= 0 && image->stop_signal <= 64);
  const auto json = workspace::manifest_json(*image);
  const auto read = workspace::image_from_json(json, "FILE");
  MICROAGENT_CHECK(read && workspace::manifest_json(*read) == json);
}

void check_manifest(std::string_view text) {
  const auto manifest = parse_image_manifest(text);
  if (!manifest) return;
  check_digest(manifest->config);
  for (const std::string& layer : manifest->layers) check_digest(layer);
}

void check_list(std::string_view text) {
  const auto picked = pick_from_list(text);
  if (picked && *picked) check_digest(**picked);
}

}  // namespace
}  // namespace microagent::image

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'l': microagent::image::check_list(text); break;
    case 'm': microagent::image::check_manifest(text); break;
    default: microagent::image::check_config(text);
  }
  return 0;
}
