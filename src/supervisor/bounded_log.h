#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::supervisor {

// A log file that never grows beyond its limit: when it is full it becomes <path>.1, replacing the one before, and a
// new one begins. Mode 0600.
class BoundedLog {
 public:
  // Begins an empty file; an older one and its .1 are gone. The log's descriptor takes the number `place` (2: standard
  // error) where one is given.
  static Result<BoundedLog> create(std::filesystem::path path, std::size_t limit, int place = -1);

  // The same, but goes on behind what there is, with a line between.
  static Result<BoundedLog> resume(std::filesystem::path path, std::size_t limit, int place = -1);

  // What cannot be written (a full disk) is lost: the workspace is worth more than its log.
  void write(std::string_view bytes);

  // Stays valid, and the same number, across rotations.
  int fd() const { return fd_.get(); }

 private:
  BoundedLog(std::filesystem::path path, std::size_t limit, Fd fd)
      : path_(std::move(path)), limit_(limit), fd_(std::move(fd)) {}
  static Result<BoundedLog> put(std::filesystem::path path, std::size_t limit, Fd fd, int place);
  void rotate();

  std::filesystem::path path_;
  std::size_t limit_;
  Fd fd_;
};

// A log of a workspace's directory: lives follow one another in it, for why the last one ended is asked once the next
// one has begun. A copy's life, of which nothing stays, has a file of its own, of the last copy.
Result<BoundedLog> open_log_of_life(const std::filesystem::path& directory, std::string_view name, bool for_a_copy,
                                    int place = -1);

}  // namespace microagent::supervisor
