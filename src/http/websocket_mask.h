#pragma once

// Blots a secret out of what a WebSocket's server says (RFC 6455, 5): messages of text and of bytes, whatever frames
// they come in, and the words of control frames. The frames of a whole message in one piece stay as they are; what is
// held back of a fragment, since a secret may begin there, goes into the next one (5.4 lets an intermediary do so where
// no extension was agreed on). At the end of a message nothing is held back.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/echo_mask.h"
#include "http/secret_mask.h"

namespace microagent::http {

class WebSocketMask {
 public:
  enum class Fault : std::uint8_t {
    none,
    extension,  // a reserved bit: nobody was let ask for what it means (ask_readable())
    malformed,
  };

  // What one holds of a message and its frames, and what it gives for a piece.
  static constexpr std::size_t kMemory = 2 * EchoMask::kPiece;

  explicit WebSocketMask(SecretFormsPtr forms) : forms_(std::move(forms)), message_(forms_) {}

  // Takes all of `in` and appends what may go on. Nothing does after a fault.
  void feed(ByteView in, std::vector<std::uint8_t>& out);

  Fault fault() const { return fault_; }
  std::string_view fault_text() const;

 private:
  static constexpr std::size_t kMaxHeader = 10;  // of a server's frame, which has no masking key

  struct Frame {
    bool final = false;
    std::uint8_t opcode = 0;
    std::uint64_t left = 0;  // of its payload
    bool is_control() const { return opcode >= 8; }
  };

  std::size_t feed_header(ByteView in, std::vector<std::uint8_t>& out);
  std::size_t feed_payload(ByteView in, std::vector<std::uint8_t>& out);
  std::size_t header_size() const;
  std::uint64_t payload_length() const;
  Fault check(const Frame& frame) const;
  void begin_frame(const Frame& frame, std::vector<std::uint8_t>& out);
  void pass_fragment(ByteView payload, std::vector<std::uint8_t>& out);
  void end_frame(std::vector<std::uint8_t>& out);
  // Of the message that is under way.
  void put_header(bool final, std::uint64_t length, std::vector<std::uint8_t>& out);

  SecretFormsPtr forms_;
  SecretMask message_;
  bool message_open_ = false;
  std::uint8_t next_opcode_ = 0;  // the message's own, until a frame of it has gone on
  std::array<std::uint8_t, kMaxHeader> header_{};
  std::size_t header_came_ = 0;
  bool in_frame_ = false;
  Frame frame_;
  std::string control_;  // the payload of a control frame, which is short
  std::vector<std::uint8_t> fragment_;
  Fault fault_ = Fault::none;
};

}  // namespace microagent::http
