#pragma once

// Images fetched by skopeo, which knows registries, their credentials (the user's containers-auth.json) and mirrors
// (registries.conf), and checks what it gets against its digest.

#include <filesystem>
#include <string>

#include "base/result.h"
#include "image/oci.h"
#include "image/reference.h"

namespace microagent::image {

// The digest of the manifest that a reference means now: 64 hexadecimal digits.
Result<std::string> resolve_digest(const Reference& reference);

struct PulledImage {
  workspace::Image defaults;                  // with its digest, without a reference
  std::vector<std::filesystem::path> layers;  // the lowest first
};
// Fetches the image with that digest into a directory that does not exist yet. Every file is checked once more.
Result<PulledImage> pull(const Reference& reference, const std::string& digest, const std::filesystem::path& directory);

// skopeo's complaint in fewer words, with its kind.
Error pull_error(const Reference& reference, std::string_view complaint);

}  // namespace microagent::image
