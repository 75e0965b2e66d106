#pragma once

// The images that workspaces are made from, by the digest of their manifests:
//
//   <cache>/images/                $XDG_CACHE_HOME/microagent, ~/.cache/microagent
//     <digest>/base.ext4           the root file system, never written to again
//              image.json          its defaults
//     references/<hash>.json       what a name meant when it was pulled last
//     locks/<digest>.lock          held while an image is made or removed, and shared while it is lent
//           <hash>.lock            held while the reference is written
//
// A workspace holds its base by a hard link of its own: what has no other name than the cache's is used by none, and
// clearing the cache harms no workspace.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "image/reference.h"
#include "workspace/image.h"

namespace microagent::image {

enum class Pull { missing, always };  // whether a registry is asked although the name is known

// Images for tests and for whoever has no home directory: MICROAGENT_CACHE, else the user's cache directory.
Result<std::filesystem::path> cache_root();

class Cache {
 public:
  using Progress = std::function<void(const std::string& text)>;

  // Makes the directories if need be.
  static Result<Cache> open(const std::filesystem::path& root);

  // An image that cannot be removed as long as this is kept.
  struct Held {
    workspace::Image image;
    std::filesystem::path base;
    Fd lock;
  };
  // Pulls the image and makes its base where that is not there yet. Who comes meanwhile waits for it, and is told so.
  Result<Held> obtain(const Reference& reference, Pull pull, const Progress& progress) const;

  // What is there, whole.
  struct Stored {
    std::string name;                       // a digest's digits
    std::vector<std::string> references{};  // the names that it was pulled by last
    std::uint64_t bytes = 0;
    bool used = false;  // by a workspace
  };
  Result<std::vector<Stored>> list() const;

  // What no workspace uses, and what an interrupted pull has left.
  struct Unused {
    std::string name;  // a digest's digits
    std::uint64_t bytes = 0;
  };
  Result<std::vector<Unused>> unused() const;
  // Nothing happens to what has come to be used meanwhile, by a workspace or by a command that makes or lends it now.
  enum class Removal { done, used, busy };
  // The image's names go with it, so that none means it again should another name bring it back.
  Result<Removal> remove(const Unused& unused) const;
  // A name that means nothing any more; the image stays.
  Status forget(const std::string& reference) const;

 private:
  explicit Cache(std::filesystem::path images) : images_(std::move(images)) {}
  enum class Share { alone, together };
  Result<Fd> lock(const std::string& name, Share share, const Progress* waits = nullptr) const;
  Status forget_names(const std::string& digest) const;
  Status remember(const Reference& reference, const std::string& digest) const;
  Result<std::string> digest_of(const Reference& reference, Pull pull, const Progress& progress) const;
  Status make(const Reference& reference, const std::string& digest, const Progress& progress) const;
  std::filesystem::path reference_file(const std::string& reference) const;

  std::filesystem::path images_;
};

// Makes `name` in a workspace's directory the base: a hard link, or a copy where the directory lies on another file
// system.
Status lend_base(const std::filesystem::path& base, const std::filesystem::path& name);

}  // namespace microagent::image
