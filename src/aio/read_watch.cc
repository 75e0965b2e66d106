#include "aio/read_watch.h"

#include <utility>

namespace microagent::aio {

// A coroutine that sleeps on a timer until the watch has news; however it ends, nobody wakes it afterwards. It may end
// after the watch: as what the event loop destroys when it ends itself.
class ReadWatch::Sleep {
 public:
  Sleep(ReadWatch& watch, asio::steady_timer& timer) : state_(watch.state_) {
    state_->sleeper = &timer;
    watch.begin();
  }
  Sleep(const Sleep&) = delete;
  Sleep& operator=(const Sleep&) = delete;
  ~Sleep() { state_->sleeper = nullptr; }

 private:
  std::shared_ptr<State> state_;
};

ReadWatch::ReadWatch(Descriptor& descriptor) : descriptor_(descriptor), timer_(descriptor.get_executor()) {}

ReadWatch::~ReadWatch() { state_->sleeper = nullptr; }

bool ReadWatch::take_news() {
  if (!has_news()) return false;
  state_->stage = Stage::idle;
  return true;
}

void ReadWatch::begin() {
  if (state_->stage != Stage::idle) return;
  state_->stage = Stage::watching;
  descriptor_.async_wait(Descriptor::wait_read, [state = state_](const boost::system::error_code& error) {
    state->stage = error ? Stage::failed : Stage::news;
    if (state->sleeper != nullptr) state->sleeper->cancel();
  });
}

asio::awaitable<Wait> ReadWatch::wait(Deadline deadline) {
  if (!has_news()) {
    timer_.expires_at(deadline);
    const Sleep sleep(*this, timer_);
    co_await timer_.async_wait(kAsTuple);
  }
  if (has_news()) co_return state_->stage == Stage::failed ? Wait::failed : Wait::ready;
  co_return std::chrono::steady_clock::now() < deadline ? Wait::failed : Wait::timed_out;
}

asio::awaitable<void> ReadWatch::wait_for_either(ReadWatch& a, ReadWatch& b) {
  if (a.has_news() || b.has_news()) co_return;
  a.timer_.expires_at(kNever);
  const Sleep first(a, a.timer_), second(b, a.timer_);
  co_await a.timer_.async_wait(kAsTuple);
}

}  // namespace microagent::aio
