#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "flow/messages.h"

namespace microagent::flow {

// One received message. `body` and `trailing` borrow the channel's buffer until the next receive().
struct Message {
  Header header;
  ByteView body;
  ByteView trailing;
  Fd fd;  // empty when none came along

  // The body as T; nothing when the message is of another type.
  template <typename T>
  std::optional<T> as() const {
    if (header.type != T::kType || body.size() != sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, body.data(), sizeof(T));
    return value;
  }
};

enum class Receive { message, would_block, closed, broken };

// One end of a verdict-protocol connection over an AF_UNIX SOCK_SEQPACKET socket. Nonblocking; the caller waits for
// readiness of fd(). No allocation after construction.
class Channel {
 public:
  explicit Channel(Fd socket);

  // A connected pair, both ends close-on-exec and nonblocking.
  static Result<std::pair<Fd, Fd>> make_pair();

  int fd() const { return socket_.get(); }

  // Sends one message whole, with `passed` duplicated to the receiver when >= 0. EAGAIN comes back as a transient
  // error: the peer does not read. Any other failure means the connection is over.
  template <typename T>
  Status send(FlowId flow, const T& body, int passed = -1, ByteView trailing = {}) {
    static_assert(std::is_trivially_copyable_v<T>);
    return send_raw(Header{kVersion, T::kType, static_cast<std::uint32_t>(trailing.size()), flow}, bytes_of(body),
                    passed, trailing);
  }

  // Takes the next message. `broken` means version, type or size do not fit: end the connection.
  Receive receive(Message& out);

 private:
  Status send_raw(const Header& header, ByteView body, int passed, ByteView trailing);

  Fd socket_;
  std::unique_ptr<std::uint8_t[]> buffer_;
};

}  // namespace microagent::flow
