#pragma once

// Reads the heads of HTTP/1 messages (RFC 9112, 2 to 5) that pass through. Whatever two servers could read differently
// is refused: nothing is repaired, skipped or joined. The readers of first words (request_head.h) ask less.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/message.h"

namespace microagent::http {

// Cuts a head into lines of sound characters. Lines that lie whole in one piece are not copied.
class HeadReader {
 public:
  enum class State : std::uint8_t { incomplete, complete, failed };

  HeadReader() = default;
  HeadReader(const HeadReader&) = delete;
  HeadReader& operator=(const HeadReader&) = delete;

  // How many of the bytes belong to the head. Those behind it are left alone; once the state is settled that is all.
  std::size_t feed(ByteView bytes);

  State state() const { return state_; }
  MessageFault fault() const { return fault_; }
  bool is_begun() const { return received_ > 0; }  // a connection that ends here was cut off

 protected:
  virtual ~HeadReader() = default;
  void fail(MessageFault fault);
  void restart();

  virtual void take_first_line(std::string_view line) = 0;
  virtual void finish(HeaderList headers) = 0;

 private:
  std::size_t take_piece(std::string_view bytes);
  void take_line(std::string_view line);
  void take_header(std::string_view line);

  State state_ = State::incomplete;
  MessageFault fault_ = MessageFault::none;
  bool has_first_line_ = false;
  std::string partial_;  // the line that is not whole
  std::size_t received_ = 0;
  HeaderList headers_;
};

class RequestReader final : public HeadReader {
 public:
  explicit RequestReader(Scheme scheme) : scheme_(scheme) {}

  const RequestMessage& message() const { return message_; }  // once complete
  // Takes it out, and reads the next one.
  RequestMessage take();

 private:
  void take_first_line(std::string_view line) override;
  void finish(HeaderList headers) override;
  MessageFault take_target();
  MessageFault take_host();

  Scheme scheme_;
  bool absolute_ = false;
  RequestMessage message_;
};

class ResponseReader final : public HeadReader {
 public:
  const ResponseMessage& message() const { return message_; }
  ResponseMessage take();

 private:
  void take_first_line(std::string_view line) override;
  void finish(HeaderList headers) override;

  ResponseMessage message_;
};

}  // namespace microagent::http
