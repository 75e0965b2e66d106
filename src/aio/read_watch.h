#pragma once

// A watch for something to read that outlasts its waiter: who turns to something else meanwhile finds it still set, and
// nothing is cancelled and begun anew. So one coroutine can wait for either of two descriptors, again and again, at the
// price of one system call for each that had news.

#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "aio/io.h"

namespace microagent::aio {

class ReadWatch {
 public:
  // `descriptor` must outlive this.
  explicit ReadWatch(Descriptor& descriptor);
  ~ReadWatch();
  ReadWatch(const ReadWatch&) = delete;
  ReadWatch& operator=(const ReadWatch&) = delete;

  // Whether there has been news that nobody took.
  bool has_news() const { return state_->stage == Stage::news || state_->stage == Stage::failed; }
  bool take_news();

  // Returns at once where there has been news that nobody took. News stay until they are taken.
  asio::awaitable<Wait> wait(Deadline deadline);
  // For news of either, or cancellation.
  static asio::awaitable<void> wait_for_either(ReadWatch& a, ReadWatch& b);

 private:
  enum class Stage : std::uint8_t { idle, watching, news, failed };

  // Outlives this where the event loop still has the operation.
  struct State {
    Stage stage = Stage::idle;
    asio::steady_timer* sleeper = nullptr;
  };
  class Sleep;

  void begin();

  Descriptor& descriptor_;
  asio::steady_timer timer_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace microagent::aio
