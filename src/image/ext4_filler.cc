#include "image/ext4_filler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace microagent::image {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;
constexpr std::uint32_t kMaxHardLinks = 65'000;
constexpr std::uint32_t kDeletionTime = 1;  // any but 0

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

Inode plain_directory() { return {.type = FileType::directory, .mode = 0755}; }

tl::unexpected<Error> collision(const std::string& path, std::string_view why) {
  return fail(ErrorKind::permanent, fmt::format("{} {}", path, why),
              "pack the archive for this image, or choose another path");
}

tl::unexpected<Error> cannot_make(errcode_t code, const std::string& path) {
  return fail(fail_with(code, fmt::format("cannot make {} in the image", path)).error());
}

}  // namespace

Status fail_with(errcode_t code, std::string_view what) {
  // Below the error tables' numbers lie those of errno.
  if (code > 0 && code < 4096) return fail_errno(static_cast<int>(code), what);
  return fail(ErrorKind::permanent, fmt::format("{}: {}", what, ::error_message(code)),
              "report this with the image's name");
}

Ext4Filler::~Ext4Filler() {
  if (file_ != nullptr) ::ext2fs_file_close(file_);
}

Status Ext4Filler::fill(const FileTree& tree) {
  whole_ = true;
  if (Status settled = settle(EXT2_ROOT_INO, *tree.root().inode, "/"); !settled) return settled;
  return add_children({EXT2_ROOT_INO}, tree.root(), "");
}

Status Ext4Filler::add(const std::string& directory, const FileTree& tree) {
  Directory place{EXT2_ROOT_INO};
  std::string path;
  for (std::size_t begin = 1; begin < directory.size();) {
    const std::size_t end = std::min(directory.find('/', begin), directory.size());
    const std::string name = directory.substr(begin, end - begin);
    path += "/" + name;
    auto next = enter(place, name, end == directory.size() ? *tree.root().inode : plain_directory(), path);
    if (!next) return fail(next.error());
    place = *next;
    begin = end + 1;
  }
  bounds_ = place.number;
  return add_children(place, tree.root(), path);
}

bool Ext4Filler::begin(ContentPlace place) {
  const auto wanted = contents_.find(place);
  if (wanted == contents_.end()) return false;
  current_ = &wanted->second;
  error_ = ::ext2fs_file_open(fs_, current_->number, EXT2_FILE_WRITE, &file_);
  return true;
}

Status Ext4Filler::write(std::uint64_t offset, ByteView bytes) {
  if (error_ != 0) return fail_with(error_, "cannot write a file of the image");
  if (offset > current_->size || bytes.size() > current_->size - offset) {
    return fail(ErrorKind::permanent, "a file is longer than its archive's header says", "make the archive anew");
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

Status Ext4Filler::end() {
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

Status Ext4Filler::add_children(Directory parent, const FileTree::Node& node, const std::string& path) {
  for (const auto& [name, child] : node.children) {
    const std::string below = path + "/" + name;
    if (child->inode->type != FileType::directory) {
      if (Status added = add_file(parent, name, *child->inode, below); !added) return added;
      continue;
    }
    const auto directory = enter(parent, name, *child->inode, below);
    if (!directory) return fail(directory.error());
    if (Status added = add_children(*directory, *child, below); !added) return added;
  }
  return {};
}

Status Ext4Filler::add_file(Directory parent, const std::string& name, const Inode& inode, const std::string& path) {
  if (!parent.made) {
    if (Status cleared = clear_way(parent, name, path); !cleared) return cleared;
  }
  const auto known = numbers_.find(&inode);
  if (known != numbers_.end()) {
    if (Status counted = count_link(known->second, path); !counted) return counted;
    return link(parent.number, name, known->second, inode.type, path);
  }
  const auto number =
      inode.type == FileType::symlink ? make_symlink(parent.number, inode, path) : make(parent.number, inode, path);
  if (!number) return fail(number.error());
  files_.insert(*number);
  numbers_.emplace(&inode, *number);
  if (inode.content) contents_.emplace(*inode.content, Content{*number, inode.size});
  if (Status settled = settle(*number, inode, path); !settled) return settled;
  return link(parent.number, name, *number, inode.type, path);
}

Result<Ext4Filler::Directory> Ext4Filler::enter(Directory parent, const std::string& name, const Inode& inode,
                                                const std::string& path) {
  if (parent.made) return make_directory(parent.number, name, inode, path);
  ext2_ino_t number = 0;
  const errcode_t code =
      ::ext2fs_lookup(fs_, parent.number, name.c_str(), static_cast<int>(name.size()), nullptr, &number);
  if (code == EXT2_ET_FILE_NOT_FOUND) return make_directory(parent.number, name, inode, path);
  if (code != 0) return cannot_make(code, path);
  return enter_known(parent, number, name, inode, path);
}

Result<Ext4Filler::Directory> Ext4Filler::enter_known(Directory parent, ext2_ino_t number, const std::string& name,
                                                      const Inode& inode, const std::string& path) {
  ext2_inode raw{};
  errcode_t code = ::ext2fs_read_inode(fs_, number, &raw);
  if (code != 0) return cannot_make(code, path);
  if (LINUX_S_ISLNK(raw.i_mode)) {
    if (files_.contains(number)) return collision(path, "is both a link and a directory in the archive");
    code = ::ext2fs_namei_follow(fs_, EXT2_ROOT_INO, parent.number, name.c_str(), &number);
    if (code != 0) return collision(path, "is a link in the image that leads nowhere");
    code = ::ext2fs_read_inode(fs_, number, &raw);
    if (code != 0) return cannot_make(code, path);
    if (Status inside = check_inside(number, path); !inside) return fail(inside.error());
  }
  if (!LINUX_S_ISDIR(raw.i_mode)) return collision(path, "is no directory in the image");
  if (whole_) {
    if (Status settled = settle(number, inode, path); !settled) return fail(settled.error());
  }
  return Directory{number};
}

Result<Ext4Filler::Directory> Ext4Filler::make_directory(ext2_ino_t parent, const std::string& name, const Inode& inode,
                                                         const std::string& path) {
  ext2_ino_t number = 0;
  errcode_t code = ::ext2fs_new_inode(fs_, parent, LINUX_S_IFDIR, nullptr, &number);
  if (code == 0) code = with_room(parent, [&] { return ::ext2fs_mkdir(fs_, parent, number, name.c_str()); });
  if (code != 0) return cannot_make(code, path);
  if (Status settled = settle(number, inode, path); !settled) return fail(settled.error());
  return Directory{number, true};
}

// Whether a directory lies in the one that was named as the destination.
Status Ext4Filler::check_inside(ext2_ino_t directory, const std::string& path) const {
  while (directory != bounds_ && directory != EXT2_ROOT_INO) {
    ext2_ino_t above = 0;
    const errcode_t code = ::ext2fs_lookup(fs_, directory, "..", 2, nullptr, &above);
    if (code != 0 || above == directory) return cannot_make(code != 0 ? code : EXT2_ET_DIR_CORRUPTED, path);
    directory = above;
  }
  if (directory == bounds_) return {};
  return collision(path, "is a link in the image that leads out of the directory");
}

// Removes what is in a new file's way.
Status Ext4Filler::clear_way(Directory parent, const std::string& name, const std::string& path) {
  ext2_ino_t number = 0;
  ext2_inode raw{};
  errcode_t code = ::ext2fs_lookup(fs_, parent.number, name.c_str(), static_cast<int>(name.size()), nullptr, &number);
  if (code == EXT2_ET_FILE_NOT_FOUND) return {};
  if (code == 0) code = ::ext2fs_read_inode(fs_, number, &raw);
  if (code != 0) return cannot_make(code, path);
  if (files_.contains(number)) return collision(path, "is in the archive twice, by way of a link in the image");
  // mke2fs's lost+found, where the image has something else of that name.
  if (whole_ && LINUX_S_ISDIR(raw.i_mode)) code = remove_empty_directory(parent.number, name, number, raw);
  else if (LINUX_S_ISDIR(raw.i_mode)) return collision(path, "is a directory in the image");
  else code = remove(parent.number, name, number, raw);
  return code == 0 ? Status() : cannot_make(code, path);
}

errcode_t Ext4Filler::remove(ext2_ino_t parent, const std::string& name, ext2_ino_t number, ext2_inode& raw) {
  const errcode_t code = ::ext2fs_unlink(fs_, parent, name.c_str(), number, 0);
  if (code != 0) return code;
  if (raw.i_links_count > 1) {
    --raw.i_links_count;
    return ::ext2fs_write_inode(fs_, number, &raw);
  }
  return release(number, raw, false);
}

errcode_t Ext4Filler::remove_empty_directory(ext2_ino_t parent, const std::string& name, ext2_ino_t number,
                                             ext2_inode& raw) {
  ext2_inode above{};
  errcode_t code = ::ext2fs_unlink(fs_, parent, name.c_str(), number, 0);
  if (code == 0) code = ::ext2fs_read_inode(fs_, parent, &above);
  --above.i_links_count;  // the ".." is gone
  if (code == 0) code = ::ext2fs_write_inode(fs_, parent, &above);
  return code == 0 ? release(number, raw, true) : code;
}

// Gives back what an inode without names has, and itself.
errcode_t Ext4Filler::release(ext2_ino_t number, ext2_inode& raw, bool directory) {
  errcode_t code = 0;
  if (::ext2fs_inode_has_valid_blocks2(fs_, &raw) != 0) code = ::ext2fs_punch(fs_, number, &raw, nullptr, 0, ~0ULL);
  if (code == 0) code = ::ext2fs_free_ext_attr(fs_, number, nullptr);
  if (code == 0) code = ::ext2fs_read_inode(fs_, number, &raw);
  raw.i_links_count = 0;
  raw.i_dtime = kDeletionTime;
  if (code == 0) code = ::ext2fs_write_inode(fs_, number, &raw);
  if (code == 0) ::ext2fs_inode_alloc_stats2(fs_, number, -1, directory ? 1 : 0);
  return code;
}

Result<ext2_ino_t> Ext4Filler::make(ext2_ino_t parent, const Inode& inode, const std::string& path) {
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
  if (code != 0) return cannot_make(code, path);
  ::ext2fs_inode_alloc_stats2(fs_, number, +1, 0);
  return number;
}

Result<ext2_ino_t> Ext4Filler::make_symlink(ext2_ino_t parent, const Inode& inode, const std::string& path) {
  ext2_ino_t number = 0;
  errcode_t code = ::ext2fs_new_inode(fs_, parent, LINUX_S_IFLNK | 0777, nullptr, &number);
  if (code == 0) code = ::ext2fs_symlink(fs_, parent, number, nullptr, inode.target.c_str());
  if (code != 0) return cannot_make(code, path);
  return number;
}

Status Ext4Filler::link(ext2_ino_t parent, const std::string& name, ext2_ino_t number, FileType type,
                        const std::string& path) {
  const errcode_t code =
      with_room(parent, [&] { return ::ext2fs_link(fs_, parent, name.c_str(), number, entry_type(type)); });
  return code == 0 ? Status() : cannot_make(code, path);
}

Status Ext4Filler::count_link(ext2_ino_t number, const std::string& path) {
  ext2_inode raw{};
  errcode_t code = ::ext2fs_read_inode(fs_, number, &raw);
  if (code == 0 && raw.i_links_count >= kMaxHardLinks) code = EMLINK;
  if (code == 0) {
    ++raw.i_links_count;
    code = ::ext2fs_write_inode(fs_, number, &raw);
  }
  return code == 0 ? Status() : cannot_make(code, path);
}

// A directory that is full grows.
template <typename Work>
errcode_t Ext4Filler::with_room(ext2_ino_t directory, Work work) {
  errcode_t code = work();
  if (code != EXT2_ET_DIR_NO_SPACE) return code;
  code = ::ext2fs_expand_dir(fs_, directory);
  return code == 0 ? work() : code;
}

Status Ext4Filler::settle(ext2_ino_t number, const Inode& inode, const std::string& path) {
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

errcode_t Ext4Filler::set_attributes(ext2_ino_t number, const Inode& inode) {
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

}  // namespace microagent::image
