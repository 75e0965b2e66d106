#pragma once

// The JSON documents of images: OCI image specification, and Docker's manifests of schema version 2, which have the
// same keys. They come from whoever made the image.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workspace/image.h"

namespace microagent::image {

// What an image consists of: digests without their "sha256:".
struct ImageManifest {
  std::string config;
  std::vector<std::string> layers;  // the lowest first
};

// A list of manifests for several platforms: the one for Linux on x86-64; nothing when the text is no list. Kind
// unsupported when the list has none.
Result<std::optional<std::string>> pick_from_list(std::string_view text);

Result<ImageManifest> parse_image_manifest(std::string_view text);

// The defaults of the configuration; reference and digest are left empty. Kind unsupported for other platforms.
Result<workspace::Image> parse_image_config(std::string_view text);

// SIGTERM, TERM, 15, SIGRTMIN+3: its number on Linux on x86-64.
std::optional<int> parse_signal(std::string_view text);

}  // namespace microagent::image
