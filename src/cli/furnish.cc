#include "cli/furnish.h"

#include "image/disk.h"
#include "image/ext4_writer.h"
#include "workspace/volumes.h"

namespace microagent::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kVolumeSize = image::kDefaultDiskMib * kMiB;

// Not less than the image needs, where nothing is declared.
Status make_disk(const fs::path& directory, const workspace::Manifest& manifest, const Furniture& furniture) {
  if (!furniture.image) return {};
  const fs::path base = directory / workspace::kBaseFile, disk = directory / workspace::kDiskFile;
  const Status based = furniture.bundles.empty()
                           ? image::lend_base(furniture.image->base, base)
                           : image::make_bundled_base(furniture.image->base, furniture.bundles, base);
  if (!based) return based;
  return image::make_overlay(base, disk, manifest.resources.disk_mib);
}

// Before the workspace is there, so that none lacks what it declares, however its creation ends; nobody removes what is
// declared by one to come. Those that were made, in `made`.
Status make_volumes(const workspace::Store& store, const workspace::Manifest& manifest,
                    std::vector<std::string>& made) {
  for (const workspace::Volume& volume : manifest.volumes) {
    const auto make = [](const fs::path& file) { return image::make_ext4(file, kVolumeSize, 0); };
    const auto is_new = workspace::ensure_volume(store.root(), volume.name, make);
    if (!is_new) return fail(is_new.error());
    if (*is_new) made.push_back(volume.name);
  }
  return {};
}

}  // namespace

Status check_image(const workspace::Manifest& manifest, const std::string& place) {
  if (!manifest.image) return {};
  const auto reference = image::parse_reference(manifest.image->reference);
  if (!reference) return fail(with_context(reference.error(), place));
  return {};
}

Result<image::Cache> open_images() {
  const auto root = image::cache_root();
  if (!root) return fail(root.error());
  return image::Cache::open(*root);
}

Result<Furniture> gather_furniture(workspace::Manifest& manifest, image::Pull pull,
                                   const image::Cache::Progress& progress) {
  if (!manifest.image) return Furniture{};
  const auto reference = image::parse_reference(manifest.image->reference);
  if (!reference) return fail(reference.error());
  // What is on this host, before anything is pulled.
  auto bundles = image::read_bundles(manifest.bundles);
  if (!bundles) return fail(with_context(bundles.error(), "--bundle"));
  const auto cache = open_images();
  if (!cache) return fail(cache.error());
  auto held = cache->obtain(*reference, pull, progress);
  if (!held) return fail(held.error());
  manifest.image = held->image;
  return Furniture{std::move(*held), std::move(*bundles)};
}

Status create_furnished(const workspace::Store& store, const workspace::Manifest& manifest,
                        const Furniture& furniture) {
  std::vector<std::string> made;
  const auto furnish = [&](const fs::path& directory) {
    const Status disk = make_disk(directory, manifest, furniture);
    return disk ? make_volumes(store, manifest, made) : disk;
  };
  const Status created = store.create(manifest, furnish);
  if (created) return {};
  // All or nothing. The first error is the one to tell.
  for (const std::string& name : made) static_cast<void>(workspace::remove_volume(store, name));
  return created;
}

}  // namespace microagent::cli
