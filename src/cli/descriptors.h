#pragma once

#include <sys/types.h>

#include "cli/exec_session.h"

namespace microagent::cli {

// Reads a descriptor that other processes may share. One that cannot be read is at its end.
class InputSource final : public ExecSource {
 public:
  explicit InputSource(int fd) : fd_(fd) {}

  int descriptor() const override { return fd_; }
  Result<std::optional<std::size_t>> read(MutableBytes room) override;

 private:
  int fd_;
};

// Writes to descriptors that other processes may share, so without making them nonblocking: a write is as large as is
// sure not to block once poll(2) said that there is room.
class OutputSink final : public ExecSink {
 public:
  OutputSink(int output, int error_output) : output_(output), error_output_(error_output) {}

  int descriptor(wire::FrameType stream) const override { return of(stream).fd; }
  Result<std::size_t> take(wire::FrameType stream, ByteView bytes) override;

 private:
  struct Outlet {
    explicit Outlet(int descriptor);
    int fd;
    std::size_t step;  // bytes of one write
  };
  const Outlet& of(wire::FrameType stream) const { return stream == wire::FrameType::output ? output_ : error_output_; }

  Outlet output_, error_output_;
};

}  // namespace microagent::cli
