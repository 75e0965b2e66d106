#include "image/bundle.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "image/ext4_writer.h"
#include "image/layer_reader.h"
#include "image/sparse_copy.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

// It is read twice, and a pipe would keep us waiting.
Status check_regular(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (!fs::exists(status)) {
    return fail(ErrorKind::not_found, fmt::format("there is no {}", file.string()), "give the path of a tar archive");
  }
  if (fs::is_regular_file(status)) return {};
  return fail(ErrorKind::usage, fmt::format("{} is no regular file", file.string()), "give the path of a tar archive");
}

Result<Bundle> read_bundle(const workspace::Bundle& declared) {
  if (Status regular = check_regular(declared.file); !regular) return fail(regular.error());
  const auto place = declared.path == "/" ? FileTree::Place::root : FileTree::Place::directory;
  Bundle bundle{declared.file, declared.path, FileTree(FileTree::kMaxMemory, FileTree::Whiteouts::literal, place)};
  bool empty = true;
  const auto add = [&](LayerEntry entry) {
    empty = false;
    return bundle.tree.add(std::move(entry));
  };
  if (Status read = read_layer(bundle.file, 0, add, ArchiveKind::bundle); !read) return fail(read.error());
  if (!empty) return bundle;
  return fail(ErrorKind::permanent, "the archive is empty", "give one that holds something");
}

Status add_all(const fs::path& base, const std::vector<Bundle>& bundles) {
  // The image's base is nobody's to write.
  if (::chmod(base.c_str(), 0600) != 0) return fail_errno(errno, fmt::format("cannot write {}", base.string()));
  std::uint64_t room = 0;
  for (const Bundle& bundle : bundles) room += ext4_room_of(bundle.tree);
  if (Status grown = grow_ext4(base, room); !grown) return grown;
  for (const Bundle& bundle : bundles) {
    if (Status added = add_to_ext4(base, bundle.path, bundle.tree, bundle.file); !added) {
      return fail(with_context(added.error(), bundle.file.string()));
    }
  }
  if (::chmod(base.c_str(), 0400) == 0) return {};
  return fail_errno(errno, fmt::format("cannot write {}", base.string()));
}

}  // namespace

Result<std::vector<Bundle>> read_bundles(const std::vector<workspace::Bundle>& declared) {
  std::vector<Bundle> bundles;
  for (const workspace::Bundle& one : declared) {
    auto bundle = read_bundle(one);
    if (!bundle) return fail(with_context(bundle.error(), one.file));
    bundles.push_back(std::move(*bundle));
  }
  return bundles;
}

Status make_bundled_base(const fs::path& base, const std::vector<Bundle>& bundles, const fs::path& name) {
  if (Status copied = copy_sparse(base, name); !copied) return copied;
  Status added = add_all(name, bundles);
  if (!added) ::unlink(name.c_str());
  return added;
}

}  // namespace microagent::image
