#pragma once

// A tar stream made into files again. The stream may be hostile: nothing is written outside the destination, whatever
// names and links it holds or meets there.

#include <optional>
#include <string>
#include <vector>

#include "archive/tar.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::archive {

struct UnpackOptions {
  bool keep_owner = false;     // numeric owners as in the archive; else the caller's
  bool special_modes = false;  // set-user-id and set-group-id too
  // Who sends is not trusted. The first component that every path has to have, "." for content without a name: what
  // was asked for, whatever the stream would rather be. Otherwise it could choose names in a directory that is there
  // already. For the same reason every path is then taken by its letters: no symbolic link is gone through, since a
  // link of the stream's own may lead to what lies beside; and there are no hard links, which would make a file that
  // is there already part of what is received. Our own packer sends neither.
  std::optional<std::string> root = {};
};

// Takes the stream piece by piece. Where it goes:
//   destination is a directory: into it, under the archive's own names;
//   destination does not exist, or is a file and the archive's first entry too: the first entry becomes the destination
//   itself, in the directory that must be there for it.
// An archive whose first entry is "." is content without a name: it goes into the destination, which is made if need
// be. Files and links that are in the way are replaced. Directories that are there already are filled and otherwise
// left as they are.
class Unpacker final : private TarSink {
 public:
  Unpacker(std::string destination, const UnpackOptions& options)
      : destination_(std::move(destination)), options_(options) {}

  Status feed(ByteView bytes);
  Status finish();

 private:
  bool on_entry(const Entry& entry) override;
  bool on_content(ByteView bytes) override;
  bool on_entry_end() override;

  // Where an entry is to be made.
  struct Place {
    Fd directory;
    std::string name;  // in it; empty for the base itself
  };
  // A directory that was made here and is being filled: its mode and time are set when that is over.
  struct OpenDirectory {
    std::string path;  // below the base
    Entry entry;
  };

  Status outcome(bool went_well) const;
  Status begin(const Entry& first);
  Status check_root(const std::string& path) const;
  Status begin_renamed(const Entry& first);
  Status make(const Entry& entry, const std::string& path);
  Result<std::string> place_below_base(const std::string& path) const;
  Fd open_below_base(const std::string& path, int flags) const;
  void make_parents(const std::string& path) const;
  Result<Place> find_place(const std::string& path) const;
  Status make_file(const Place& place, const std::string& path);
  Status make_directory(const Place& place, const std::string& path, const Entry& entry);
  Status make_link(const Place& place, const std::string& path, const Entry& entry);
  Status make_hard_link(const Place& place, const std::string& path, const Entry& entry);
  Status clear_place(const Place& place, const std::string& path) const;
  Status leave_directories(std::string_view next_path);
  Status settle(const Fd& object, const Entry& entry) const;

  std::string destination_;
  UnpackOptions options_;
  TarParser parser_{*this};
  Status status_;                          // what went wrong here, not in the archive
  Fd base_;                                // everything lies below it
  bool base_made_ = false;                 // here
  std::string renamed_from_, renamed_to_;  // the first component of every path, where it gets another name
  Entry entry_;                            // the one being made
  Fd file_;                                // when it is a file
  std::string path_;                       // below the base
  std::vector<OpenDirectory> open_directories_;
};

}  // namespace microagent::archive
