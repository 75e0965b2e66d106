#include "image/ext4_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <unordered_set>

#include "base/fd.h"
#include "image/ext4_filler.h"
#include "image/layer_reader.h"
#include "image/tool.h"
#include "workspace/rules.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBlock = 4096, kMiB = 1024 * 1024;
constexpr std::uint64_t kJournal = 32 * kMiB, kInode = 256;
constexpr std::uint64_t kLeast = 256 * kMiB;
constexpr std::uint64_t kSlack = 64 * kMiB;  // group descriptors, bitmaps, and what is reserved for growing
constexpr std::uint64_t kMost = workspace::kMaxDiskMib * kMiB;
constexpr std::uint64_t kGroup = 32'768 * kBlock;  // what a block group describes
constexpr std::uint64_t kBytesAnInode = 16 * 1024;

std::uint64_t blocks_of(std::uint64_t size) { return (size + kBlock - 1) / kBlock; }

std::uint64_t entry_size(std::string_view name) { return (8 + name.size() + 3) / 4 * 4; }

// Files of several names that have been counted.
using Counted = std::unordered_set<const Inode*>;

// Blocks of a node and all below it. The sizes are the image's own words: none counts for more than is refused, so that
// their sum keeps within bounds.
std::uint64_t blocks_below(const FileTree::Node& node, Counted& counted) {
  const Inode& inode = *node.inode;
  if (node.inode.use_count() > 1 && !counted.insert(&inode).second) return 0;
  std::uint64_t blocks = std::min(blocks_of(inode.size), blocks_of(kMost) + 1) + (inode.attributes.empty() ? 0 : 1);
  if (inode.type == FileType::symlink) ++blocks;
  if (inode.type != FileType::directory) return blocks;
  std::uint64_t names = 0;
  for (const auto& [name, child] : node.children) {
    names += entry_size(name);
    blocks += blocks_below(*child, counted);
  }
  // An entry never crosses a block's end.
  return blocks + 1 + blocks_of(names + names / 8);
}

// Names first, then the contents from the archives that the tree was read from.
Status fill_by(Ext4Filler& filler, const Status& named, const std::vector<fs::path>& archives, ArchiveKind kind) {
  if (!named) return named;
  for (unsigned number = 0; number < archives.size(); ++number) {
    if (Status read = read_contents(archives[number], number, filler, kind); !read) return read;
  }
  if (filler.complete()) return {};
  return fail(ErrorKind::permanent, fmt::format("a {} changed while it was read", to_string(kind)), "try again");
}

Status sync_file(const fs::path& file) {
  const Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("cannot write {}", file.string()));
  return {};
}

Status change(const fs::path& file, const std::function<Status(Ext4Filler& filler)>& work) {
  ::initialize_ext2_error_table();
  ext2_filsys filesystem = nullptr;
  const errcode_t opened = ::ext2fs_open(file.c_str(), EXT2_FLAG_RW | EXT2_FLAG_64BITS | EXT2_FLAG_EXCLUSIVE, 0, 0,
                                         unix_io_manager, &filesystem);
  if (opened != 0) return fail_with(opened, fmt::format("cannot open {}", file.string()));
  const errcode_t read = ::ext2fs_read_bitmaps(filesystem);
  Status done = read == 0 ? Status() : fail_with(read, "cannot read the image");
  if (done) {
    Ext4Filler filler(filesystem);
    done = work(filler);
  }
  const errcode_t closed = ::ext2fs_close_free(&filesystem);
  if (done && closed != 0) done = fail_with(closed, fmt::format("cannot write {}", file.string()));
  return done ? sync_file(file) : done;
}

std::uint64_t content_of(const FileTree& tree) {
  Counted counted;
  return std::min(blocks_below(tree.root(), counted), blocks_of(kMost) + 1) * kBlock;
}

tl::unexpected<Error> too_large() {
  return fail(ErrorKind::unsupported, fmt::format("the image holds more than {} GiB", kMost / kMiB / 1024),
              "use a smaller one");
}

}  // namespace

std::uint64_t ext4_size_of(const FileTree& tree) {
  const std::uint64_t content = content_of(tree);
  const std::uint64_t size = content + content / 20 + tree.files() * kInode + kJournal + kSlack;
  return std::max(kLeast, (size + kMiB - 1) / kMiB * kMiB);
}

Status make_ext4(const fs::path& file, std::uint64_t size, std::uint64_t inodes) {
  if (size > kMost) return too_large();
  const Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return fail_errno(errno, fmt::format("cannot write {}", file.string()));
  }
  // One inode for each 16 KiB, as is the custom, or as many as are needed: a disk that grows keeps the ratio.
  const std::uint64_t wanted = std::max(size / kBytesAnInode, inodes + inodes / 8 + 1024);
  const auto made =
      run_tool("mke2fs", {"-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-N", std::to_string(wanted),
                          "-J", fmt::format("size={}", kJournal / kMiB), "-E",
                          // The file is all holes, so that nothing is left for the guest to clear.
                          "root_owner=0:0,nodiscard,lazy_itable_init=0,assume_storage_prezeroed=1", file.string()});
  if (!made) return fail(made.error());
  return sync_file(file);
}

Status fill_ext4(const fs::path& file, const FileTree& tree, const std::vector<fs::path>& layers) {
  return change(file,
                [&](Ext4Filler& filler) { return fill_by(filler, filler.fill(tree), layers, ArchiveKind::layer); });
}

std::uint64_t ext4_room_of(const FileTree& tree) {
  const std::uint64_t content = content_of(tree);
  // A file system that grows gets one inode for so many bytes.
  return std::max<std::uint64_t>(content + content / 20, tree.files() * kBytesAnInode);
}

Status grow_ext4(const fs::path& file, std::uint64_t room) {
  std::error_code error;
  const std::uint64_t before = fs::file_size(file, error);
  if (error) return fail_errno(error.value(), fmt::format("cannot look at {}", file.string()));
  if (room > kMost || before > kMost - room) return too_large();
  // Whole groups: too small a rest of one would be left out.
  const std::uint64_t size = (before + room + kSlack + kGroup - 1) / kGroup * kGroup;
  fs::resize_file(file, size, error);
  if (error) return fail_errno(error.value(), fmt::format("cannot write {}", file.string()));
  const auto grown = run_tool("resize2fs", {file.string()});
  return grown ? Status() : fail(grown.error());
}

Status add_to_ext4(const fs::path& file, const std::string& directory, const FileTree& tree, const fs::path& bundle) {
  return change(file, [&](Ext4Filler& filler) {
    return fill_by(filler, filler.add(directory, tree), {bundle}, ArchiveKind::bundle);
  });
}

}  // namespace microagent::image
