#pragma once

// The first message of a TLS client (RFC 8446, 4.1.2), read for the name it asks for. Guests write it: every length is
// checked before it is used, and what servers may read in different ways is refused rather than guessed at.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace microagent::wire {

// Record headers included; more is never kept.
inline constexpr std::size_t kMaxClientHello = 16 * 1024;

struct ClientHello {
  std::string server_name;        // as sent: letters, digits, '-', '_' and dots; empty when the client names no host
  std::vector<std::string> alpn;  // in the client's order
  bool encrypted = false;         // an ECH extension: the true name may be another one, or the client only greases
};

enum class ClientHelloFault : std::uint8_t {
  none,
  not_tls,        // these bytes are no beginning of a handshake
  too_long,       // beyond kMaxClientHello
  bad_record,     // another record, or an empty one, within the message; or bytes of another message behind it
  bad_structure,  // a length that leads out of what holds it, bytes left over, an extension twice
  bad_name_list,  // not exactly one name of type host_name
  bad_name,       // a name that is no host name: NUL, other characters, an empty label, too long
  bad_alpn,       // an empty protocol or list
};

// For people: "a name that is no host name".
std::string_view to_string(ClientHelloFault fault);

// Takes a client's bytes in whatever pieces they come, the message over any number of records.
class ClientHelloReader {
 public:
  enum class State : std::uint8_t { incomplete, complete, failed };

  // Bytes behind the message are left alone. Calls after the state is settled change nothing.
  State feed(ByteView bytes);

  State state() const { return state_; }
  const ClientHello& hello() const { return hello_; }  // once complete
  ClientHelloFault fault() const { return fault_; }    // once failed

 private:
  bool take_record_byte(std::uint8_t byte);
  bool begin_record();
  bool begin_message();
  bool finish();
  bool fail(ClientHelloFault fault);

  State state_ = State::incomplete;
  ClientHelloFault fault_ = ClientHelloFault::none;
  std::vector<std::uint8_t> record_head_;
  std::size_t record_left_ = 0;  // of the fragment of the current record
  std::size_t received_ = 0;
  std::vector<std::uint8_t> message_;  // handshake header and body, put together
  std::size_t message_size_ = 0;       // both; 0 while the header is incomplete
  ClientHello hello_;
};

// Whether a TLS client may send it as a host name: what server_name above promises. An address is none (RFC 6066, 3),
// so "10.0.0.1" and everything else that inet_aton(3) would read as an address is refused.
bool is_host_name(std::string_view name);

}  // namespace microagent::wire
