#include "supervisor/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "base/pipe.h"

namespace microagent::supervisor {

Result<std::unique_ptr<Worker>> Worker::start(const Surroundings& surroundings, std::string name, ChildSpec spec) {
  auto pipe = make_pipe();
  if (!pipe) return fail(pipe.error());
  auto errors = watch(surroundings.executor, std::move(pipe->read));
  if (!errors) return fail(errors.error());
  spec.standard_error = pipe->write.get();
  if (spec.standard_output < 0) spec.standard_output = pipe->write.get();
  auto child = start_child(spec);
  if (!child) return fail(child.error());
  auto pidfd = watch(surroundings.executor, std::move(child->pidfd));
  if (!pidfd) {
    ::kill(child->pid, SIGKILL);
    return fail(pidfd.error());
  }
  std::unique_ptr<Worker> worker(
      new Worker(surroundings, std::move(name), std::move(*child), std::move(*pidfd), std::move(*errors)));
  spawn(surroundings.executor, worker->watch_end());
  spawn(surroundings.executor, worker->copy_errors());
  return worker;
}

Worker::Worker(const Surroundings& surroundings, std::string name, Child child, Descriptor pidfd, Descriptor errors)
    : name_(std::move(name)),
      pid_(child.pid),
      kept_network_(std::move(child.kept_network)),
      pidfd_(std::move(pidfd)),
      errors_(std::move(errors)),
      log_(surroundings.log),
      changes_(surroundings.changes) {}

std::string Worker::obituary() const {
  const std::string how = end_ ? describe(*end_) : "lives";
  const std::string& last_words = last_line_.get();
  return last_words.empty() ? fmt::format("{} {}", name_, how) : fmt::format("{} {}: {}", name_, how, last_words);
}

void Worker::kill() {
  if (!end_) ::kill(pid_, SIGKILL);  // not reaped, so the number is still its own
}

asio::awaitable<void> Worker::watch_end() {
  while (!end_) {
    co_await wait_readable(pidfd_, kNever);
    end_ = reap(pid_);
  }
  changes_.notify();
}

asio::awaitable<void> Worker::copy_errors() {
  std::array<std::uint8_t, 4096> chunk;
  while (const std::size_t size = co_await read_some(errors_, chunk, kNever)) {
    const std::string_view text(reinterpret_cast<const char*>(chunk.data()), size);
    log_.write(text);
    last_line_.feed(text);
  }
  drained_ = true;
  changes_.notify();
}

}  // namespace microagent::supervisor
