#include "image/ext4_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>

// Neither header says that its functions are C's.
extern "C" {
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
}

#include "base/fd.h"
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
constexpr std::uint32_t kMaxHardLinks = 65'000;
constexpr const char* kLostAndFound = "lost+found";
constexpr std::uint32_t kDeletionTime = 1;  // any but 0

std::uint64_t blocks_of(std::uint64_t size) { return (size + kBlock - 1) / kBlock; }

std::uint64_t entry_size(std::string_view name) { return (8 + name.size() + 3) / 4 * 4; }

// Blocks of a node and all below it. Files of several names are counted as often, which errs on the right side. The
// sizes are the image's own words: none counts for more than is refused, so that their sum keeps within bounds.
std::uint64_t blocks_below(const FileTree::Node& node) {
  const Inode& inode = *node.inode;
  std::uint64_t blocks = std::min(blocks_of(inode.size), blocks_of(kMost) + 1) + (inode.attributes.empty() ? 0 : 1);
  if (inode.type == FileType::symlink) ++blocks;
  if (inode.type != FileType::directory) return blocks;
  std::uint64_t names = 0;
  for (const auto& [name, child] : node.children) {
    names += entry_size(name);
    blocks += blocks_below(*child);
  }
  // An entry never crosses a block's end.
  return blocks + 1 + blocks_of(names + names / 8);
}

Status fail_with(errcode_t code, std::string_view what) {
  // Below the error tables' numbers lie those of errno.
  if (code > 0 && code < 4096) return fail_errno(static_cast<int>(code), what);
  return fail(ErrorKind::permanent, fmt::format("{}: {}", what, ::error_message(code)),
              "report this with the image's name");
}

std::uint16_t type_bits(FileType type) {
  switch (type) {
    case FileType::file: return LINUX_S_IFREG;
    case FileType::directory: return LINUX_S_IFDIR;
    case FileType::symlink: return LINUX_S_IFLNK;
    case FileType::character_device: return LINUX_S_IFCHR;
    case FileType::block_device: return LINUX_S_IFBLK;
    case FileType::fifo: return LINUX_S_IFIFO;
  }
  return LINUX_S_IFREG;
}

int entry_type(FileType type) {
  switch (type) {
    case FileType::file: return EXT2_FT_REG_FILE;
    case FileType::directory: return EXT2_FT_DIR;
    case FileType::symlink: return EXT2_FT_SYMLINK;
    case FileType::character_device: return EXT2_FT_CHRDEV;
    case FileType::block_device: return EXT2_FT_BLKDEV;
    case FileType::fifo: return EXT2_FT_FIFO;
  }
  return EXT2_FT_UNKNOWN;
}

// Linux, include/linux/kdev_t.h: small numbers as ever, large ones in a second word.
void set_device(ext2_inode& raw, const Inode& inode) {
  if (inode.major < 256 && inode.minor < 256) raw.i_block[0] = inode.major << 8 | inode.minor;
  else raw.i_block[1] = (inode.minor & 0xff) | inode.major << 8 | (inode.minor & ~0xffU) << 12;
}

void set_facts(ext2_inode& raw, const Inode& inode) {
  raw.i_mode = static_cast<std::uint16_t>(type_bits(inode.type) |
                                          (inode.type == FileType::symlink ? 0777U : inode.mode & 07777U));
  raw.i_uid = static_cast<std::uint16_t>(inode.uid);
  raw.i_gid = static_cast<std::uint16_t>(inode.gid);
  raw.osd2.linux2.l_i_uid_high = static_cast<std::uint16_t>(inode.uid >> 16);
  raw.osd2.linux2.l_i_gid_high = static_cast<std::uint16_t>(inode.gid >> 16);
  // The classic times have 32 bits; what lies outside is as old or as new as those can say.
  const auto time = std::clamp<std::int64_t>(inode.mtime, 0, INT32_MAX);
  raw.i_mtime = raw.i_ctime = raw.i_atime = static_cast<std::uint32_t>(time);
}

class Filler final : public ContentSink {
 public:
  explicit Filler(ext2_filsys filesystem) : fs_(filesystem) {}
  ~Filler() override {
    if (file_ != nullptr) ::ext2fs_file_close(file_);
  }
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;

  Status add_root(const FileTree::Node& root) {
    if (Status settled = settle(EXT2_ROOT_INO, *root.inode, "/"); !settled) return settled;
    return add_children(EXT2_ROOT_INO, root, "");
  }

  bool begin(ContentPlace place) override {
    const auto wanted = contents_.find(place);
    if (wanted == contents_.end()) return false;
    current_ = &wanted->second;
    error_ = ::ext2fs_file_open(fs_, current_->number, EXT2_FILE_WRITE, &file_);
    return true;
  }

  Status write(std::uint64_t offset, ByteView bytes) override {
    if (error_ != 0) return fail_with(error_, "cannot write a file of the image");
    if (offset > current_->size || bytes.size() > current_->size - offset) {
      return fail(ErrorKind::permanent, "a layer's file is longer than its header says", "build the image anew");
    }
    errcode_t code = ::ext2fs_file_llseek(file_, offset, EXT2_SEEK_SET, nullptr);
    while (code == 0 && !bytes.empty()) {
      unsigned written = 0;
      const auto size = static_cast<unsigned>(std::min<std::size_t>(bytes.size(), kMiB));
      code = ::ext2fs_file_write(file_, bytes.data(), size, &written);
      bytes = bytes.subspan(written);
    }
    return code == 0 ? Status() : fail_with(code, "cannot write a file of the image");
  }

  Status end() override {
    if (error_ != 0) return fail_with(error_, "cannot write a file of the image");
    // What a sparse file ends with may be a hole.
    errcode_t code = ::ext2fs_file_set_size2(file_, static_cast<ext2_off64_t>(current_->size));
    const errcode_t closed = ::ext2fs_file_close(file_);
    file_ = nullptr;
    if (code == 0) code = closed;
    if (code != 0) return fail_with(code, "cannot write a file of the image");
    ++filled_;
    return {};
  }

  bool complete() const { return filled_ == contents_.size(); }

 private:
  struct Content {
    ext2_ino_t number = 0;
    std::uint64_t size = 0;
  };

  Status add_children(ext2_ino_t parent, const FileTree::Node& node, const std::string& path) {
    for (const auto& [name, child] : node.children) {
      if (Status added = add(parent, name, *child, path + "/" + name); !added) return added;
    }
    return {};
  }

  Status add(ext2_ino_t parent, const std::string& name, const FileTree::Node& node, const std::string& path) {
    const Inode& inode = *node.inode;
    if (inode.type == FileType::directory) return add_directory(parent, name, node, path);
    if (is_lost_and_found(parent, name)) {
      if (const errcode_t code = remove_lost_and_found(); code != 0) return fail_with(code, "cannot change the image");
    }
    const auto known = numbers_.find(&inode);
    if (known != numbers_.end()) {
      if (Status counted = count_link(known->second, path); !counted) return counted;
      return link(parent, name, known->second, inode.type, path);
    }
    const auto number = inode.type == FileType::symlink ? make_symlink(parent, inode, path) : make(parent, inode, path);
    if (!number) return fail(number.error());
    numbers_.emplace(&inode, *number);
    if (inode.content) contents_.emplace(*inode.content, Content{*number, inode.size});
    if (Status settled = settle(*number, inode, path); !settled) return settled;
    return link(parent, name, *number, inode.type, path);
  }

  Status add_directory(ext2_ino_t parent, const std::string& name, const FileTree::Node& node,
                       const std::string& path) {
    ext2_ino_t number = 0;
    const bool found = is_lost_and_found(parent, name);
    errcode_t code = found
                         ? ::ext2fs_lookup(fs_, parent, kLostAndFound, static_cast<int>(name.size()), nullptr, &number)
                         : ::ext2fs_new_inode(fs_, parent, LINUX_S_IFDIR, nullptr, &number);
    if (code == 0 && !found) {
      code = with_room(parent, [&] { return ::ext2fs_mkdir(fs_, parent, number, name.c_str()); });
    }
    if (code != 0) return fail_with(code, fmt::format("cannot make {} in the image", path));
    if (Status settled = settle(number, *node.inode, path); !settled) return settled;
    return add_children(number, node, path);
  }

  // mke2fs has made one already, a directory.
  static bool is_lost_and_found(ext2_ino_t parent, std::string_view name) {
    return parent == EXT2_ROOT_INO && name == kLostAndFound;
  }

  // Where the image has something else of that name.
  errcode_t remove_lost_and_found() {
    ext2_ino_t number = 0;
    ext2_inode root{}, raw{};
    errcode_t code = ::ext2fs_lookup(fs_, EXT2_ROOT_INO, kLostAndFound, std::strlen(kLostAndFound), nullptr, &number);
    if (code == 0) code = ::ext2fs_unlink(fs_, EXT2_ROOT_INO, kLostAndFound, number, 0);
    if (code == 0) code = ::ext2fs_read_inode(fs_, EXT2_ROOT_INO, &root);
    --root.i_links_count;  // its ".." is gone
    if (code == 0) code = ::ext2fs_write_inode(fs_, EXT2_ROOT_INO, &root);
    if (code == 0) code = ::ext2fs_punch(fs_, number, nullptr, nullptr, 0, ~0ULL);
    if (code == 0) code = ::ext2fs_read_inode(fs_, number, &raw);
    raw.i_links_count = 0;
    raw.i_dtime = kDeletionTime;
    if (code == 0) code = ::ext2fs_write_inode(fs_, number, &raw);
    if (code == 0) ::ext2fs_inode_alloc_stats2(fs_, number, -1, 1);
    return code;
  }

  Result<ext2_ino_t> make(ext2_ino_t parent, const Inode& inode, const std::string& path) {
    ext2_ino_t number = 0;
    ext2_inode raw{};
    set_facts(raw, inode);
    raw.i_links_count = 1;
    errcode_t code = ::ext2fs_new_inode(fs_, parent, raw.i_mode, nullptr, &number);
    if (code == 0 && inode.type == FileType::file) {
      // Makes it a file of extents.
      ext2_extent_handle_t extents = nullptr;
      code = ::ext2fs_extent_open2(fs_, number, &raw, &extents);
      if (code == 0) ::ext2fs_extent_free(extents);
    }
    if (inode.type == FileType::character_device || inode.type == FileType::block_device) set_device(raw, inode);
    if (code == 0) code = ::ext2fs_write_new_inode(fs_, number, &raw);
    if (code != 0) return fail(fail_with(code, fmt::format("cannot make {} in the image", path)).error());
    ::ext2fs_inode_alloc_stats2(fs_, number, +1, 0);
    return number;
  }

  Result<ext2_ino_t> make_symlink(ext2_ino_t parent, const Inode& inode, const std::string& path) {
    ext2_ino_t number = 0;
    errcode_t code = ::ext2fs_new_inode(fs_, parent, LINUX_S_IFLNK | 0777, nullptr, &number);
    if (code == 0) code = ::ext2fs_symlink(fs_, parent, number, nullptr, inode.target.c_str());
    if (code != 0) return fail(fail_with(code, fmt::format("cannot make {} in the image", path)).error());
    return number;
  }

  Status link(ext2_ino_t parent, const std::string& name, ext2_ino_t number, FileType type, const std::string& path) {
    const errcode_t code =
        with_room(parent, [&] { return ::ext2fs_link(fs_, parent, name.c_str(), number, entry_type(type)); });
    return code == 0 ? Status() : fail_with(code, fmt::format("cannot make {} in the image", path));
  }

  Status count_link(ext2_ino_t number, const std::string& path) {
    ext2_inode raw{};
    errcode_t code = ::ext2fs_read_inode(fs_, number, &raw);
    if (code == 0 && raw.i_links_count >= kMaxHardLinks) code = EMLINK;
    if (code == 0) {
      ++raw.i_links_count;
      code = ::ext2fs_write_inode(fs_, number, &raw);
    }
    return code == 0 ? Status() : fail_with(code, fmt::format("cannot make {} in the image", path));
  }

  // A directory that is full grows.
  template <typename Work>
  errcode_t with_room(ext2_ino_t directory, Work work) {
    errcode_t code = work();
    if (code != EXT2_ET_DIR_NO_SPACE) return code;
    code = ::ext2fs_expand_dir(fs_, directory);
    return code == 0 ? work() : code;
  }

  Status settle(ext2_ino_t number, const Inode& inode, const std::string& path) {
    ext2_inode raw{};
    errcode_t code = ::ext2fs_read_inode(fs_, number, &raw);
    if (code == 0) {
      set_facts(raw, inode);
      code = ::ext2fs_write_inode(fs_, number, &raw);
    }
    if (code == 0 && !inode.attributes.empty()) code = set_attributes(number, inode);
    if (code == 0) return {};
    if (code != EXT2_ET_EA_NO_SPACE) return fail_with(code, fmt::format("cannot describe {} in the image", path));
    return fail(ErrorKind::unsupported, fmt::format("the attributes of {} in the image are too large for ext4", path),
                "build the image with smaller ones");
  }

  errcode_t set_attributes(ext2_ino_t number, const Inode& inode) {
    ext2_xattr_handle* handle = nullptr;
    errcode_t code = ::ext2fs_xattrs_open(fs_, number, &handle);
    if (code != 0) return code;
    for (const ExtendedAttribute& attribute : inode.attributes) {
      code = ::ext2fs_xattr_set(handle, attribute.name.c_str(), attribute.value.data(), attribute.value.size());
      if (code != 0) break;
    }
    const errcode_t closed = ::ext2fs_xattrs_close(&handle);
    return code == 0 ? closed : code;
  }

  ext2_filsys fs_;
  std::unordered_map<const Inode*, ext2_ino_t> numbers_;
  std::map<ContentPlace, Content> contents_;
  std::size_t filled_ = 0;
  const Content* current_ = nullptr;
  ext2_file_t file_ = nullptr;
  errcode_t error_ = 0;
};

Status fill(ext2_filsys filesystem, const FileTree& tree, const std::vector<fs::path>& layers) {
  if (const errcode_t code = ::ext2fs_read_bitmaps(filesystem); code != 0)
    return fail_with(code, "cannot read the image");
  Filler filler(filesystem);
  if (Status added = filler.add_root(tree.root()); !added) return added;
  for (unsigned layer = 0; layer < layers.size(); ++layer) {
    if (Status read = read_contents(layers[layer], layer, filler); !read) return read;
  }
  if (filler.complete()) return {};
  return fail(ErrorKind::permanent, "a layer changed while it was read", "pull the image again");
}

Status sync_file(const fs::path& file) {
  const Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("cannot write {}", file.string()));
  return {};
}

}  // namespace

std::uint64_t ext4_size_of(const FileTree& tree) {
  const std::uint64_t content = std::min(blocks_below(tree.root()), blocks_of(kMost) + 1) * kBlock;
  const std::uint64_t size = content + content / 20 + tree.files() * kInode + kJournal + kSlack;
  return std::max(kLeast, (size + kMiB - 1) / kMiB * kMiB);
}

Status make_ext4(const fs::path& file, std::uint64_t size, std::uint64_t inodes) {
  if (size > kMost) {
    return fail(ErrorKind::unsupported, fmt::format("the image holds more than {} GiB", kMost / kMiB / 1024),
                "use a smaller one");
  }
  const Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return fail_errno(errno, fmt::format("cannot write {}", file.string()));
  }
  // One inode for each 16 KiB, as is the custom, or as many as are needed: a disk that grows keeps the ratio.
  const std::uint64_t wanted = std::max(size / (16 * 1024), inodes + inodes / 8 + 1024);
  const auto made =
      run_tool("mke2fs", {"-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-N", std::to_string(wanted),
                          "-J", fmt::format("size={}", kJournal / kMiB), "-E",
                          // The file is all holes, so that nothing is left for the guest to clear.
                          "root_owner=0:0,nodiscard,lazy_itable_init=0,assume_storage_prezeroed=1", file.string()});
  if (!made) return fail(made.error());
  return sync_file(file);
}

Status fill_ext4(const fs::path& file, const FileTree& tree, const std::vector<fs::path>& layers) {
  ::initialize_ext2_error_table();
  ext2_filsys filesystem = nullptr;
  const errcode_t opened = ::ext2fs_open(file.c_str(), EXT2_FLAG_RW | EXT2_FLAG_64BITS | EXT2_FLAG_EXCLUSIVE, 0, 0,
                                         unix_io_manager, &filesystem);
  if (opened != 0) return fail_with(opened, fmt::format("cannot open {}", file.string()));
  Status filled = fill(filesystem, tree, layers);
  const errcode_t closed = ::ext2fs_close_free(&filesystem);
  if (filled && closed != 0) filled = fail_with(closed, fmt::format("cannot write {}", file.string()));
  return filled ? sync_file(file) : filled;
}

}  // namespace microagent::image
