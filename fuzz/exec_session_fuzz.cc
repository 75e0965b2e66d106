// What a hostile guest's exec service may answer: the fuzzer's bytes, to a session that wants to send much input. It
// ends with an end or an error, has taken no more output than came, and has sent no more input than the window holds.

#include <sys/socket.h>

#include <array>

#include "base/check.h"
#include "cli/exec_session.h"

namespace microagent::cli {
namespace {

class Endless final : public ExecSource {
 public:
  int descriptor() const override { return -1; }
  Result<std::optional<std::size_t>> read(MutableBytes room) override {
    given += room.size();
    return room.size();
  }
  std::size_t given = 0;
};

class Counting final : public ExecSink {
 public:
  int descriptor(wire::FrameType) const override { return -1; }
  Result<std::size_t> take(wire::FrameType, ByteView bytes) override {
    // In pieces, as a pipe would.
    const std::size_t count = std::min<std::size_t>(bytes.size(), 7);
    taken += count;
    return count;
  }
  std::size_t taken = 0;
};

void play(ByteView answer) {
  std::array<int, 2> ends{};
  MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  Fd host(ends[0]), guest(ends[1]);
  const ssize_t said = ::send(guest.get(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  MICROAGENT_CHECK(said == static_cast<ssize_t>(answer.size()));
  ::shutdown(guest.get(), SHUT_WR);
  Endless source;
  Counting sink;
  ExecPlan plan;
  plan.input = &source;
  (void)run_exec(std::move(host), plan, sink);
  MICROAGENT_CHECK(sink.taken <= answer.size());
  MICROAGENT_CHECK(source.given <= wire::kInputWindow + answer.size() * wire::kInputWindow);
}

}  // namespace
}  // namespace microagent::cli

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0 && size <= 32 * 1024) microagent::cli::play({data, size});
  return 0;
}
