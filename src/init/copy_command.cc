#include "init/copy_command.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "archive/pack.h"
#include "archive/unpack.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr std::size_t kChunk = 64 * 1024;

void complain(std::string_view text) {
  const std::string line = concat(text, "\n");
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

Status write_output(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot send the archive");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status get(const wire::CopyRequest& request) {
  auto packer = archive::Packer::open(request.path, {request.keep_owner, request.follow}, complain);
  if (!packer) return fail(packer.error());
  for (;;) {
    const auto bytes = packer->next();
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) return {};
    if (Status written = write_output(*bytes); !written) return written;
  }
}

Status put(const wire::CopyRequest& request) {
  archive::Unpacker unpacker(request.path, {request.keep_owner, true});
  std::array<std::uint8_t, kChunk> chunk;
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot receive the archive");
    if (count == 0) return unpacker.finish();
    if (Status fed = unpacker.feed(ByteView(chunk).first(static_cast<std::size_t>(count))); !fed) return fed;
  }
}

}  // namespace

std::function<int()> copy_command(wire::FrameType type, const wire::CopyRequest& request) {
  return [type, request] {
    const Status done = type == wire::FrameType::put ? put(request) : get(request);
    if (!done) complain(done.error().message);
    return done ? 0 : 1;
  };
}

}  // namespace microagent::init
