#pragma once

// What a workspace has beside its record: its image with what bundles add to it, its disk and its volumes.

#include <functional>
#include <optional>
#include <string>

#include "image/bundle.h"
#include "image/cache.h"
#include "workspace/state.h"

namespace microagent::cli {

// Held from the moment that the image is there until the workspace has it.
struct Furniture {
  std::optional<image::Cache::Held> image;
  std::vector<image::Bundle> bundles{};
};

// The user's cache of images.
Result<image::Cache> open_images();

// Reads the manifest's bundles, finds or pulls its image, if it declares one, and completes what it says of that.
Result<Furniture> gather_furniture(workspace::Manifest& manifest, image::Pull pull,
                                   const image::Cache::Progress& progress);

// Makes the workspace's disk and the volumes that are not there yet, and records it.
Status create_furnished(const workspace::Store& store, const workspace::Manifest& manifest, const Furniture& furniture);

// Checks what --image or the spec was given, without looking for it. The error names `place`.
Status check_image(const workspace::Manifest& manifest, const std::string& place);

}  // namespace microagent::cli
