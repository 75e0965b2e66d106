#pragma once

// Bundles: tar archives whose content a workspace's disk has from the beginning.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/file_tree.h"
#include "workspace/manifest.h"

namespace microagent::image {

struct Bundle {
  std::filesystem::path file;
  std::string path;  // the directory of the guest's that it goes to
  FileTree tree;
};

// Reads what bundles say of their files, to the end: whatever is no whole tar archive is found here. An entry that
// would leave its bundle's directory, by its name or over a link of the bundle's own, is an error.
Result<std::vector<Bundle>> read_bundles(const std::vector<workspace::Bundle>& declared);

// Makes `name` in a workspace's directory a base of its own: a copy of the image's with the bundles in it, in their
// order; nothing where it fails.
Status make_bundled_base(const std::filesystem::path& base, const std::vector<Bundle>& bundles,
                         const std::filesystem::path& name);

}  // namespace microagent::image
