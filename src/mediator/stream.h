#pragma once

// A byte stream of one side of an intercepted connection: TLS, or the bare socket where the guest spoke HTTP in the
// clear. Every wait has a deadline; errors are values.

#include <memory>
#include <string>
#include <string_view>

#include "mediator/io.h"
#include "tls/connection.h"

namespace microagent::mediator {

enum class StreamEnd : std::uint8_t {
  none,
  finished,  // the peer has said that it sends no more
  cut_off,   // the peer is gone without saying so, as TLS wants it
  timed_out,
  failed,
};

struct Arrival {
  std::size_t bytes = 0;  // 0: the end, as `end` tells
  StreamEnd end = StreamEnd::none;
};

// A peer that is faster than we are never makes its reader wait. The other flows must have their turn all the same.
class Turn {
 public:
  bool is_over();  // and another begins
  Arrival counted(std::size_t bytes);
  void begin() { taken_ = 0; }

 private:
  std::size_t taken_ = 0;
};

// One coroutine at a time may read and another may write. A read that is cancelled has taken nothing.
class Stream {
 public:
  virtual ~Stream() = default;

  // What is there, at least one byte.
  virtual asio::awaitable<Arrival> read_some(MutableBytes into, Deadline deadline) = 0;
  // False when the stream fails or is too slow. `bytes` must outlive the call.
  virtual asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) = 0;
  // Says that everything is sent; what the peer still sends can be read.
  virtual asio::awaitable<void> finish() = 0;
  virtual Descriptor& descriptor() = 0;
};

using StreamPtr = std::unique_ptr<Stream>;

// The connected socket of a flow whose end looks like a stream's.
StreamPtr plain_stream(Descriptor descriptor);

// TLS on a socket. The handshake comes first, and is done by its caller's coroutine.
class TlsStream final : public Stream {
 public:
  TlsStream(Descriptor descriptor, tls::Connection connection);

  // What went wrong; empty when nothing did.
  asio::awaitable<std::string> handshake(Deadline deadline);
  const tls::Connection& connection() const { return connection_; }
  // The fatal alert that the peer answered the handshake with; 0: none.
  std::uint8_t alert() const { return alert_; }

  asio::awaitable<Arrival> read_some(MutableBytes into, Deadline deadline) override;
  asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) override;
  asio::awaitable<void> finish() override;
  Descriptor& descriptor() override { return descriptor_; }

 private:
  asio::awaitable<Wait> wait_for(tls::Stop stop, Deadline deadline);

  Descriptor descriptor_;
  tls::Connection connection_;  // on the descriptor's number
  std::uint8_t alert_ = 0;
  Turn turn_;
};

}  // namespace microagent::mediator
