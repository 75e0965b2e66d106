#pragma once

// What the guest's init and the host say to each other over vsock. Two services:
//
//   agent stream: the guest connects to CID 2, port kAgentHostPort, once. Frames guest -> host: hello, ready, failed,
//                 workload_exited; host -> guest: shutdown. Ends with the guest.
//   exec stream:  the host connects to guest port kExecGuestPort, one stream a command. Host -> guest: exec first, then
//                 input, input_end, signal, resize; guest -> host: output, error_output, then exactly one of exited or
//                 exec_failed. The host ending its side kills the command.
//
// A frame is FrameHeader and `length` bytes. Little endian.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace microagent::wire {

inline constexpr std::uint32_t kHostCid = 2;           // VMADDR_CID_HOST
inline constexpr std::uint32_t kAgentHostPort = 1020;  // served by the mediator
inline constexpr std::uint32_t kExecGuestPort = 1021;  // served by the guest's init
inline constexpr std::uint32_t kAgentVersion = 1;
inline constexpr std::size_t kMaxFrame = 64 * 1024;    // payload of one frame

enum class FrameType : std::uint8_t {
  hello = 1,            // le32 kAgentVersion
  ready = 2,            // GuestFacts as text (guest_config.h): what the guest really got
  failed = 3,           // text: why init gave up
  workload_exited = 4,  // ExitStatus
  shutdown = 10,        // empty
  exec = 20,            // ExecRequest
  input = 21,           // bytes for stdin
  input_end = 22,       // empty
  output = 23,          // bytes of stdout
  error_output = 24,    // bytes of stderr
  exited = 25,          // ExitStatus
  exec_failed = 26,     // ExitStatus with code 126 or 127, then text
  signal = 27,          // le32 signal number for the command's process group
  resize = 28,          // le16 rows, le16 columns
};

struct FrameHeader {
  FrameType type{};
  std::uint8_t reserved[3] = {};
  le32 length;
};
static_assert(sizeof(FrameHeader) == 8 && alignof(FrameHeader) == 1);

// How a process ended: `signal` is 0 for an ordinary exit with `code`.
struct ExitStatus {
  le32 code;
  le32 signal;
};
static_assert(sizeof(ExitStatus) == 8);

struct ExecRequest {
  std::vector<std::string> argv;  // never empty; argv[0] is looked up in PATH
  std::vector<std::string> env;   // KEY=VALUE, added to the workspace's own
  std::string workdir;            // empty: /
  bool terminal = false;
  std::uint16_t rows = 0, columns = 0;
};

// Cuts a byte stream into frames. Feed it what arrives; take frames until none is whole. Refuses lengths over kMaxFrame
// and unknown types; after a refusal it stays broken.
class FrameReader {
 public:
  struct Frame {
    FrameType type{};
    std::vector<std::uint8_t> payload;
  };
  void feed(ByteView bytes);
  std::optional<Frame> next();
  bool broken() const { return broken_; }

 private:
  std::vector<std::uint8_t> buffer_;
  std::size_t consumed_ = 0;
  bool broken_ = false;
};

// Header and payload in one piece. The payload must be at most kMaxFrame.
std::vector<std::uint8_t> encode_frame(FrameType type, ByteView payload);
std::vector<std::uint8_t> encode_frame(FrameType type, std::string_view text);

// The payload of an exec frame. Nothing when it does not fit into kMaxFrame.
std::optional<std::vector<std::uint8_t>> encode_exec(const ExecRequest& request);
std::optional<ExecRequest> parse_exec(ByteView payload);
std::optional<ExitStatus> parse_exit_status(ByteView payload);

}  // namespace microagent::wire
