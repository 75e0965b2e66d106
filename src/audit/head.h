#pragma once

// How far the chain has come, beside the log: a log that ends earlier was cut. Written after each record, in one piece
// and in place, so that it is never ahead of the log but where somebody shortened that.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::audit {

struct Head {
  std::uint64_t seq = 0;
  std::string hash;  // of the line with this seq
  bool operator==(const Head&) const = default;
};

// Nothing where there is no such file yet. A file that is not one is an error that names it.
Result<std::optional<Head>> read_head(const std::filesystem::path& log);

class HeadFile {
 public:
  static Result<HeadFile> open(const std::filesystem::path& log);
  Status write(const Head& head) const;

 private:
  HeadFile(Fd file, std::filesystem::path name) : file_(std::move(file)), name_(std::move(name)) {}

  Fd file_;
  std::filesystem::path name_;
};

}  // namespace microagent::audit
