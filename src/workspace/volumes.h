#pragma once

// Named volumes: disks that outlive workspaces, each attached to one running workspace at most.
//
//   <root>/volumes/NAME.ext4     the disk, a sparse file
//                  NAME.lock     held by the supervisor of the workspace that has it; says which that is

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "workspace/manifest.h"

namespace microagent::workspace {

class Store;

std::filesystem::path volume_file(const std::filesystem::path& root, std::string_view name);

// Takes a volume for a workspace, for as long as the descriptor is kept. Kind conflict when another one has it,
// not_found when it is gone.
Result<Fd> attach_volume(const std::filesystem::path& root, std::string_view name, std::string_view workspace);

// Makes the volume where there is none, and says whether it did; `make` makes the disk in a new file. Commands that
// come meanwhile wait. Where a workspace declares the volume already, be it only about to be there (Store::create()),
// remove_volume() takes it away no more.
using MakeVolume = std::function<Status(const std::filesystem::path& file)>;
Result<bool> ensure_volume(const std::filesystem::path& root, std::string_view name, const MakeVolume& make);

struct VolumeRecord {
  std::string name;
  std::uint64_t size = 0, used = 0;        // bytes
  std::string attached_to;                 // a running workspace; empty: none
  std::vector<std::string> declared_by{};  // workspaces, in order
};
Result<std::vector<VolumeRecord>> list_volumes(const Store& store);

// Kind conflict while a workspace declares it, or one that is being created.
Status remove_volume(const Store& store, std::string_view name);

}  // namespace microagent::workspace
