#include "mediator/upstream_trial.h"

namespace microagent::mediator {

asio::awaitable<void> UpstreamTrial::until_given_up() {
  while (!given_up_) {
    if (doubtful_ && deadline_ <= std::chrono::steady_clock::now()) co_return;
    wake_.expires_at(doubtful_ ? deadline_ : kNever);
    co_await wake_.async_wait(kAsTuple);
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

}  // namespace microagent::mediator
