#include "mediator/pipe.h"

#include <array>
#include <utility>

#include "mediator/guest_http.h"

namespace microagent::mediator {
namespace {

// Which of the two ends have said that they send no more.
using Finished = std::array<bool, 2>;

class PipeEnd final : public Stream {
 public:
  PipeEnd(StreamPtr stream, std::shared_ptr<Finished> finished, std::size_t self)
      : stream_(std::move(stream)), finished_(std::move(finished)), self_(self) {}

  std::optional<Arrival> take_some(MutableBytes into) override {
    auto arrival = stream_->take_some(into);
    if (arrival && arrival->end == StreamEnd::finished && !finished_->at(1 - self_)) arrival->end = StreamEnd::cut_off;
    return arrival;
  }
  bool must_wait() const override { return stream_->must_wait(); }
  asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) override {
    return stream_->write_all(bytes, deadline);
  }
  asio::awaitable<void> finish() override {
    finished_->at(self_) = true;
    return stream_->finish();
  }
  SocketStream& socket() override { return stream_->socket(); }

 private:
  StreamPtr stream_;
  std::shared_ptr<Finished> finished_;
  std::size_t self_;
};

}  // namespace

Result<Pipe> open_pipe(const asio::any_io_executor& executor) {
  auto pair = open_guest_stream(executor);
  if (!pair) return fail(pair.error());
  auto far = watch(executor, std::move(pair->guests));
  if (!far) return fail(far.error());
  auto finished = std::make_shared<Finished>();
  return Pipe{std::make_unique<PipeEnd>(plain_stream(std::move(pair->ours)), finished, 0),
              std::make_unique<PipeEnd>(plain_stream(std::move(*far)), finished, 1)};
}

}  // namespace microagent::mediator
