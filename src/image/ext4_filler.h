#pragma once

// Puts trees of files into an open ext4 file system, by libext2fs.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

// Neither header says that its functions are C's.
extern "C" {
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
}

#include "base/result.h"
#include "image/file_tree.h"
#include "image/layer_reader.h"

namespace microagent::image {

// What libext2fs could not do.
Status fail_with(errcode_t code, std::string_view what);

// First the names, by fill() or add(), then the contents, as a sink of the archives that the tree was read from.
class Ext4Filler final : public ContentSink {
 public:
  explicit Ext4Filler(ext2_filsys filesystem) : fs_(filesystem) {}
  ~Ext4Filler() override;
  Ext4Filler(const Ext4Filler&) = delete;
  Ext4Filler& operator=(const Ext4Filler&) = delete;

  // The tree becomes the whole of a file system as mke2fs made it.
  Status fill(const FileTree& tree);

  // The tree goes into a directory of a file system that holds others already. The directory is made if need be. Like
  // tar: directories that are there are filled and otherwise left as they are, links to directories are followed as
  // long as they lead nowhere outside, and other files are replaced. An error where a directory and a file collide.
  Status add(const std::string& directory, const FileTree& tree);

  bool begin(ContentPlace place) override;
  Status write(std::uint64_t offset, ByteView bytes) override;
  Status end() override;

  // Whether every content that the names promise has come.
  bool complete() const { return filled_ == contents_.size(); }

 private:
  struct Content {
    ext2_ino_t number = 0;
    std::uint64_t size = 0;
  };
  struct Directory {
    ext2_ino_t number = 0;
    bool made = false;  // here, so that nothing is in it that was not put there by us
  };

  Status add_children(Directory parent, const FileTree::Node& node, const std::string& path);
  Status add_file(Directory parent, const std::string& name, const Inode& inode, const std::string& path);
  Result<Directory> enter(Directory parent, const std::string& name, const Inode& inode, const std::string& path);
  Result<Directory> enter_known(Directory parent, ext2_ino_t number, const std::string& name, const Inode& inode,
                                const std::string& path);
  Result<Directory> make_directory(ext2_ino_t parent, const std::string& name, const Inode& inode,
                                   const std::string& path);
  Status check_inside(ext2_ino_t directory, const std::string& path) const;
  Status clear_way(Directory parent, const std::string& name, const std::string& path);
  errcode_t remove(ext2_ino_t parent, const std::string& name, ext2_ino_t number, ext2_inode& raw);
  errcode_t remove_empty_directory(ext2_ino_t parent, const std::string& name, ext2_ino_t number, ext2_inode& raw);
  errcode_t release(ext2_ino_t number, ext2_inode& raw, bool directory);
  Result<ext2_ino_t> make(ext2_ino_t parent, const Inode& inode, const std::string& path);
  Result<ext2_ino_t> make_symlink(ext2_ino_t parent, const Inode& inode, const std::string& path);
  Status link(ext2_ino_t parent, const std::string& name, ext2_ino_t number, FileType type, const std::string& path);
  Status count_link(ext2_ino_t number, const std::string& path);
  template <typename Work>
  errcode_t with_room(ext2_ino_t directory, Work work);
  Status settle(ext2_ino_t number, const Inode& inode, const std::string& path);
  errcode_t set_attributes(ext2_ino_t number, const Inode& inode);

  ext2_filsys fs_;
  bool whole_ = false;                    // what is there already is mke2fs's alone
  ext2_ino_t bounds_ = EXT2_ROOT_INO;     // no link leads out of this directory
  std::unordered_set<ext2_ino_t> files_;  // made here
  std::unordered_map<const Inode*, ext2_ino_t> numbers_;
  std::map<ContentPlace, Content> contents_;
  std::size_t filled_ = 0;
  const Content* current_ = nullptr;
  ext2_file_t file_ = nullptr;
  errcode_t error_ = 0;
};

}  // namespace microagent::image
