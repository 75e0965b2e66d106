#pragma once

// The layers of an image, merged in memory as OCI's image specification says ("Image Layer Filesystem Changeset"): no
// file of the host is touched, so no name and no link in a layer can lead out of the tree.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace microagent::image {

enum class FileType : std::uint8_t { file, directory, symlink, character_device, block_device, fifo };

struct ExtendedAttribute {
  std::string name, value;
  bool operator==(const ExtendedAttribute&) const = default;
};

// Where a file's content lies: in which layer, behind which of its headers.
struct ContentPlace {
  unsigned layer = 0;
  std::uint64_t entry = 0;
  auto operator<=>(const ContentPlace&) const = default;
};

// A file, whatever names it has.
struct Inode {
  FileType type = FileType::file;
  std::uint32_t mode = 0;  // permissions: 07777
  std::uint32_t uid = 0, gid = 0;
  std::int64_t mtime = 0;  // seconds
  std::uint64_t size = 0;  // of a file
  std::string target{};    // of a symlink
  std::uint32_t major = 0, minor = 0;
  std::vector<ExtendedAttribute> attributes{};
  std::optional<ContentPlace> content{};  // of a file that is not empty
};

// What a layer says about one path.
struct LayerEntry {
  std::string path;
  Inode inode;
  std::optional<std::string> hard_link;  // another entry's path, in place of the inode
};

class FileTree {
 public:
  static constexpr std::size_t kMaxFiles = 4'000'000;
  static constexpr std::size_t kMaxMemory = 1024 * 1024 * 1024;  // of the host's, for all that layers say
  static constexpr std::size_t kMaxDepth = 512;
  static constexpr std::size_t kMaxName = 255;
  static constexpr std::size_t kMaxPath = 4095;

  struct Node {
    std::shared_ptr<Inode> inode;
    unsigned layer = 0;  // that said so last
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children{};
  };

  // Whether names that begin with ".wh." hide what earlier layers have, as in an image, or are names like any other.
  enum class Whiteouts : std::uint8_t { heeded, literal };

  // What the tree's root is to be in the guest: its root, so that absolute links lead there and nothing lies above; or
  // a directory, which no link on the way to an entry may leave.
  enum class Place : std::uint8_t { root, directory };

  explicit FileTree(std::size_t max_memory = kMaxMemory, Whiteouts whiteouts = Whiteouts::heeded,
                    Place place = Place::root);

  // The entries that follow are of the next layer.
  void begin_layer() { ++layer_; }
  // Kind permanent for what no archive may hold: paths that lead out, links to what is not there.
  Status add(LayerEntry entry);

  const Node& root() const { return root_; }
  std::size_t files() const { return files_; }  // names, in all

 private:
  using Path = std::vector<std::string>;
  Status charge(std::string_view name, const Inode& inode);
  // The directory that a path's components lead to, symbolic links on the way resolved within the tree. Missing ones
  // are made, or nothing is given.
  Result<Node*> walk(const Path& components, bool make);
  Status add_named(Node& parent, const std::string& name, LayerEntry entry);
  Status link(Node& parent, const std::string& name, const std::string& target);
  Status put(Node& parent, const std::string& name, std::shared_ptr<Inode> inode);
  Status white_out(Node& parent, std::string_view name);
  bool remove_older(Node& node);
  void forget(Node& node);

  Node root_;
  Whiteouts whiteouts_;
  Place place_;
  unsigned layer_ = 0;
  std::size_t files_ = 0;
  std::size_t max_memory_, memory_ = 0;  // about; what later layers replace stays counted
};

}  // namespace microagent::image
