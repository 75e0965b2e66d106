#pragma once

// A file or a directory with all that is below it, as a tar stream.

#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "archive/tar.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::archive {

struct PackOptions {
  bool keep_owner = false;  // numeric owners; else everything is root's
  bool follow = false;      // when the path itself is a symbolic link: what it points to
};

// Produces the stream piece by piece. Symbolic links below the path are packed as links and never followed. Sockets and
// devices are left out, with a warning each; so is what vanishes meanwhile. Any other trouble is an error.
class Packer {
 public:
  using OnWarning = std::function<void(const std::string& text)>;

  // The entries are named after the path's last component: /srv/data gives data, data/a. A path that ends in a slash
  // and a dot, or is the root, gives ., ./a: the content without a name.
  static Result<Packer> open(const std::string& path, const PackOptions& options, OnWarning on_warning);

  // The next bytes of the stream; none at its end. Valid until the next call.
  Result<ByteView> next();

 private:
  Packer(Fd parent, std::string root, const PackOptions& options, OnWarning on_warning);

  Status pack(const std::string& path);
  Status pack_file(const Fd& object, Entry entry);
  Status pack_link(const Fd& object, Entry entry);
  Status pack_directory(const Fd& object, const std::string& path, const Entry& entry);
  Result<ByteView> next_content();
  Entry describe(const std::string& path, const struct stat& status) const;
  std::string label(const std::string& path) const;

  Fd parent_;         // the directory that holds the root
  std::string root_;  // the root's name in it, and in the archive
  PackOptions options_;
  OnWarning on_warning_;
  std::vector<std::string> pending_;  // still to be packed, relative to the root; the next one last
  std::string blocks_;                // headers and padding
  std::vector<std::uint8_t> chunk_;
  Fd file_;  // whose content is being packed
  std::string file_label_;
  std::uint64_t left_ = 0;  // of it
  std::size_t padding_ = 0;
  bool ended_ = false;
};

}  // namespace microagent::archive
