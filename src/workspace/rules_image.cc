#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "workspace/rules.h"
#include "workspace/state.h"

namespace microagent::workspace {
namespace {

// A path of the guest's that leads where it says: absolute, without "." and "..", without a slash at its end.
bool is_plain_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > kMaxGuestPath || path.find('\0') != std::string_view::npos) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view component = path.substr(0, path.find('/'));
    if (component.empty() || component == "." || component == "..") return false;
    path.remove_prefix(component.size());
  }
  return true;
}

std::optional<Violation> find_volume_violation(const std::vector<Volume>& volumes) {
  std::set<std::string_view> names, paths;
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    const Volume& volume = volumes[i];
    std::string key = fmt::format("volumes[{}]", i);
    if (!is_volume_name(volume.name)) {
      return Violation{std::move(key), "its name is none",
                       "use 1 to 63 of the characters a-z, 0-9 and -, beginning with a letter or a digit"};
    }
    if (!is_plain_path(volume.path)) {
      return Violation{std::move(key), fmt::format("volume {} has no absolute path in the guest", volume.name),
                       "write NAME:/PATH, such as data:/var/lib/data"};
    }
    if (!names.insert(volume.name).second) {
      return Violation{std::move(key), fmt::format("volume {} is there twice", volume.name), "keep one of them"};
    }
    if (!paths.insert(volume.path).second) {
      return Violation{std::move(key), fmt::format("{} has a volume already", volume.path), "choose another path"};
    }
  }
  if (volumes.size() <= kMaxVolumes) return std::nullopt;
  return Violation{"volumes", fmt::format("{} volumes are more than {}", volumes.size(), kMaxVolumes),
                   "use directories of one volume"};
}

bool lies_within(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

std::optional<Violation> find_bundle_violation(const Manifest& manifest) {
  for (std::size_t i = 0; i < manifest.bundles.size(); ++i) {
    const Bundle& bundle = manifest.bundles[i];
    std::string key = fmt::format("bundles[{}]", i);
    if (!manifest.image) {
      return Violation{std::move(key), "the built-in base lives in memory and has no disk",
                       "name an image by --image, or use `microagent cp` once the workspace runs"};
    }
    if (bundle.path != "/" && !is_plain_path(bundle.path)) {
      return Violation{std::move(key), fmt::format("{} is no absolute path in the guest", bundle.path),
                       "write FILE:/PATH, such as app.tar.gz:/srv/app"};
    }
    for (const Volume& volume : manifest.volumes) {
      if (!lies_within(bundle.path, volume.path)) continue;
      return Violation{std::move(key), fmt::format("{} would be hidden by the volume {}", bundle.path, volume.name),
                       "choose another path, or use `microagent cp` once the workspace runs"};
    }
  }
  if (manifest.bundles.size() <= kMaxBundles) return std::nullopt;
  return Violation{"bundles", fmt::format("{} bundles are more than {}", manifest.bundles.size(), kMaxBundles),
                   "put them into one archive"};
}

std::optional<Violation> find_command_violation(const Manifest& manifest) {
  const bool command = !manifest.command.empty(), entrypoint = !manifest.entrypoint.empty();
  if (command && entrypoint) {
    return Violation{"command", "there is an entrypoint too", "give one thing to run"};
  }
  for (std::size_t i = 0; i < manifest.command.size(); ++i) {
    if (manifest.command[i].find('\0') == std::string::npos) continue;
    return Violation{fmt::format("command[{}]", i), "holds a zero byte", "remove it"};
  }
  if (manifest.init.empty()) return std::nullopt;
  if (!manifest.image) {
    return Violation{"init", "the built-in base has no init of its own", "name an image that has, by --image"};
  }
  if (!is_plain_path(manifest.init)) {
    return Violation{"init", "is no absolute path in the image", "give its path, such as /sbin/init"};
  }
  if (!command && !entrypoint) return std::nullopt;
  return Violation{"init", "an init decides itself what runs, and there is a command too", "give one of the two"};
}

}  // namespace

std::optional<Violation> find_image_violation(const Manifest& manifest) {
  if (auto violation = find_command_violation(manifest)) return violation;
  if (auto violation = find_volume_violation(manifest.volumes)) return violation;
  if (auto violation = find_bundle_violation(manifest)) return violation;
  const std::uint32_t disk = manifest.resources.disk_mib;
  if (disk == 0) return std::nullopt;
  if (!manifest.image) {
    return Violation{"resources.disk", "the built-in base lives in memory and has no disk",
                     "name an image by --image, or use a volume"};
  }
  if (disk >= kMinDiskMib && disk <= kMaxDiskMib) return std::nullopt;
  return Violation{"resources.disk", fmt::format("{} MiB is out of bounds", disk),
                   fmt::format("give {} MiB to {} MiB, such as 20GiB", kMinDiskMib, kMaxDiskMib)};
}

}  // namespace microagent::workspace
