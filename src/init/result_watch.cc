#include "init/result_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

// Whether one of the events is about the name. Reads until there are no more.
bool read_events(int events, std::string_view name) {
  alignas(inotify_event) std::array<std::uint8_t, 4096> buffer;
  bool found = false;
  for (;;) {
    const ssize_t count = ::read(events, buffer.data(), buffer.size());
    if (count <= 0) return found;
    Reader reader(ByteView(buffer).first(static_cast<std::size_t>(count)));
    inotify_event event{};
    ByteView text;
    while (reader.read(event) && reader.take(event.len, text)) {
      const std::string_view padded(reinterpret_cast<const char*>(text.data()), text.size());
      found = found || padded.substr(0, padded.find('\0')) == name;
    }
  }
}

}  // namespace

Result<ResultWatch> ResultWatch::open(Loop& loop, const std::string& path, std::function<void()> on_written) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = path.substr(0, slash), name = path.substr(slash + 1);
  if (Status made = make_directory(directory.c_str(), 0755); !made) return fail(made.error());
  Fd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!events) return fail_errno(errno, "cannot watch directories");
  if (::inotify_add_watch(events.get(), directory.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
    return fail_errno(errno, concat("cannot watch ", directory));
  }
  const int number = events.get();
  const Status watched = loop.watch(number, EPOLLIN, [number, name, on_written = std::move(on_written)](std::uint32_t) {
    if (read_events(number, name)) on_written();
  });
  if (!watched) return fail(watched.error());
  return ResultWatch(std::move(events));
}

}  // namespace microagent::init
