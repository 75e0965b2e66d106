#pragma once

// A byte stream of one side of an intercepted connection: TLS, or the bare socket where the guest spoke HTTP in the
// clear. Every wait has a deadline; errors are values.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aio/read_watch.h"
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

class SocketStream;

// One coroutine at a time may read and another may write. A read that is cancelled has taken nothing.
class Stream {
 public:
  virtual ~Stream() = default;

  // What is there, at least one byte.
  asio::awaitable<Arrival> read_some(MutableBytes into, Deadline deadline);
  // The same without waiting: nothing where the peer, or others that wait for their turn, must do something first.
  virtual std::optional<Arrival> take_some(MutableBytes into) = 0;
  // Whether it is known that take_some() would give nothing.
  virtual bool must_wait() const = 0;
  // Until it is worth while to try again.
  asio::awaitable<Wait> wait_for_more(Deadline deadline);
  // False when the stream fails or is too slow. `bytes` must outlive the call.
  virtual asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) = 0;
  // Says that everything is sent; what the peer still sends can be read.
  virtual asio::awaitable<void> finish() = 0;
  virtual SocketStream& socket() = 0;
  Descriptor& descriptor();
};

using StreamPtr = std::unique_ptr<Stream>;

// Until it is worth while to try one of them again.
asio::awaitable<void> wait_for_either(Stream& a, Stream& b);

// A stream and its socket.
class SocketStream : public Stream {
 public:
  explicit SocketStream(Descriptor descriptor);

  std::optional<Arrival> take_some(MutableBytes into) override;
  bool must_wait() const override;
  SocketStream& socket() override { return *this; }
  // Whether it has ever given a byte.
  bool has_given() const { return given_; }
  // What is there, whatever is known of that; nothing where the socket has nothing.
  std::optional<Arrival> take_unasked(MutableBytes into);
  // Nothing waits to be read, no end either. To be asked only where nothing is expected: what there is gets lost.
  bool is_quiet();

 protected:
  // Reads what is there; nothing where the socket has nothing.
  virtual std::optional<Arrival> read_now(MutableBytes into) = 0;

  Descriptor descriptor_;
  bool reader_writes_ = false;  // the reader waits for room to write, as TLS may want it

 private:
  friend class Stream;
  friend asio::awaitable<void> wait_for_either(Stream& a, Stream& b);

  asio::awaitable<Wait> wait_for_news(Deadline deadline);

  aio::ReadWatch watch_;
  bool blocked_ = false;  // the socket has nothing, unless the watch has news
  bool given_ = false;
  // A peer that is faster than we are never makes its reader wait. The other flows must have their turn all the same.
  std::size_t taken_ = 0;
};

// The connected socket of a flow whose end looks like a stream's.
StreamPtr plain_stream(Descriptor descriptor);

// TLS on a socket. The handshake comes first, and is done by its caller's coroutine.
class TlsStream final : public SocketStream {
 public:
  TlsStream(Descriptor descriptor, tls::Connection connection);

  // What went wrong; empty when nothing did.
  asio::awaitable<std::string> handshake(Deadline deadline);
  const tls::Connection& connection() const { return connection_; }
  // The fatal alert that the peer answered the handshake with; 0: none.
  std::uint8_t alert() const { return alert_; }

  asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) override;
  asio::awaitable<void> finish() override;
  // The same without waiting, where nobody writes: false when there is not room for all, and then nothing is to be
  // written any more.
  bool write_at_once(ByteView bytes);
  void finish_at_once();

 private:
  std::optional<Arrival> read_now(MutableBytes into) override;
  asio::awaitable<Wait> wait_for(tls::Stop stop, Deadline deadline);

  tls::Connection connection_;  // on the descriptor's number
  std::uint8_t alert_ = 0;
  bool dry_ = false;  // the last read has met the end of what there was
};

}  // namespace microagent::mediator
