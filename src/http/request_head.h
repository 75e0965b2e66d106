#pragma once

// The head of an HTTP/1 request (RFC 9112, 2 to 3.2), read for whom it is for. Every server must read the same request
// out of it: what some would repair, skip or join is refused. What no server takes for HTTP is told apart as early as
// its bytes differ.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/authority.h"

namespace microagent::http {

inline constexpr std::size_t kMaxHead = 16 * 1024;

struct RequestHead {
  std::string method;
  std::string target;                  // as sent
  std::string path;                    // of the target, without query; "*" for OPTIONS *, empty for CONNECT
  std::optional<Authority> authority;  // nothing: the request names nobody
  bool wants_json = false;             // Accept prefers JSON to text
  bool http_1_0 = false;
};

enum class HeadFault : std::uint8_t {
  none,
  not_http,
  too_long,
  blank_before_request,  // an empty line in front: some look for the request behind it
  bad_line_end,          // a bare LF or CR, or a NUL or other control character
  bad_request_line,
  bad_header,     // no token and colon, or white space before it
  folded_header,  // a line that goes on with the one before
  no_host,
  several_hosts,
  bad_host,
  host_differs,  // Host is another than the target's
};

// For people: "more than one Host header".
std::string_view to_string(HeadFault fault);

// Takes a client's bytes in whatever pieces they come.
class RequestHeadReader {
 public:
  enum class State : std::uint8_t { incomplete, complete, failed };

  // Bytes behind the head are left alone. Calls after the state is settled change nothing.
  State feed(ByteView bytes);

  State state() const { return state_; }
  const RequestHead& head() const { return head_; }  // once complete
  HeadFault fault() const { return fault_; }         // once failed
  // The request line stands and is HTTP/1: from here on a fault is one of a request.
  bool has_request_line() const { return has_request_line_; }

 private:
  void take(char c);
  void take_line(std::string_view line);
  void take_request_line(std::string_view line);
  void take_target(std::string_view target);
  void take_header(std::string_view line);
  void finish();
  void fail(HeadFault fault);

  State state_ = State::incomplete;
  HeadFault fault_ = HeadFault::none;
  HeadFault later_fault_ = HeadFault::none;  // found before it was sure that this is HTTP
  std::string line_;
  std::size_t received_ = 0;
  bool has_request_line_ = false;
  bool absolute_ = false;
  std::optional<std::string> host_;
  RequestHead head_;
};

}  // namespace microagent::http
