#pragma once

// The guest that a copy goes into or comes from.

#include <optional>
#include <string>

#include "cli/command.h"
#include "cli/copy_path.h"
#include "cli/subject.h"
#include "supervisor/client.h"

namespace microagent::cli {

// A workspace that runs is asked as it is. One that does not, and has disks, is booted for the copy alone, without
// network and without its command: its file systems are its guest's work, which no program of the host should read.
class CopyGuest {
 public:
  static Result<CopyGuest> open(const Context& context, const GuestPath& path);

  // The stream to its exec service; once.
  Fd take_stream() { return std::move(stream_); }
  // Once the copy is made: what was booted for it is shut down. An error when what was written may be lost.
  Status finish();

 private:
  struct Boot {
    Subject subject;
    supervisor::Leash leash;  // ends it with us, should we not come to finish()
  };

  CopyGuest() = default;
  static Result<CopyGuest> boot(const Context& context, Subject subject);

  Fd stream_;
  std::optional<Boot> boot_;
};

}  // namespace microagent::cli
