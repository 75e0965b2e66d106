#pragma once

// The two ends of a copy (wire/agent.h: put and get), made of src/archive.

#include <memory>
#include <optional>
#include <string>

#include "archive/pack.h"
#include "archive/unpack.h"
#include "cli/exec_session.h"

namespace microagent::cli {

// A file or directory of this host as the tar stream that the guest unpacks.
class PackSource final : public ExecSource {
 public:
  explicit PackSource(archive::Packer packer) : packer_(std::move(packer)) {}

  int descriptor() const override { return -1; }
  Result<std::optional<std::size_t>> read(MutableBytes room) override;

 private:
  archive::Packer packer_;
  ByteView rest_;  // of what the packer gave last
};

// What the guest's side of a copy says: its complaints, kept up to a limit.
class Complaints {
 public:
  void take(ByteView bytes);
  const std::string& text() const { return text_; }

 private:
  static constexpr std::size_t kMax = 16 * 1024;
  std::string text_;
};

// Nothing is expected back from a put.
class PutSink final : public ExecSink {
 public:
  int descriptor(wire::FrameType) const override { return -1; }
  Result<std::size_t> take(wire::FrameType stream, ByteView bytes) override;
  const Complaints& complaints() const { return complaints_; }

 private:
  Complaints complaints_;
};

// The tar stream of a hostile guest as files of this host (archive/unpack.h), or as it is for `raw`.
class GetSink final : public ExecSink {
 public:
  explicit GetSink(archive::Unpacker& unpacker) : unpacker_(&unpacker) {}
  explicit GetSink(ExecSink& raw) : raw_(&raw) {}

  int descriptor(wire::FrameType stream) const override;
  Result<std::size_t> take(wire::FrameType stream, ByteView bytes) override;
  const Complaints& complaints() const { return complaints_; }

 private:
  archive::Unpacker* unpacker_ = nullptr;
  ExecSink* raw_ = nullptr;
  Complaints complaints_;
};

}  // namespace microagent::cli
