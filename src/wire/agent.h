#pragma once

// What the guest's init and the host say to each other over vsock. Two services:
//
//   agent stream: the guest connects to CID 2, port kAgentHostPort, once. Frames guest -> host: hello, ready, failed,
//                 workload_exited, result_ready, trusted; host -> guest: trust, shutdown. Ends with the guest.
//   exec stream:  the host connects to guest port kExecGuestPort, one stream a command. Host -> guest: exec, put or get
//                 first, then input, input_end, signal, resize; guest -> host: output, error_output, input_taken, then
//                 exactly one of exited or exec_failed. The host ending its side kills the command.
//
// Put and get are commands of init's own: put reads a tar stream as its input, get writes one as its output, and both
// say what went wrong as error_output before they exit with 1 (archive/pack.h, archive/unpack.h).
//
// At most kInputWindow bytes of input may be on their way to a command: the host counts what it sends, input_taken says
// what the command has read. So a command that does not read its input never stands in the way of a signal. A host that
// sends more is only made to wait.
//
// Trust comes first of all, behind the guest's hello, and again when what it says changes: whom the guest has to trust
// because its TLS is intercepted. The guest is ready and runs its workload only once it has been told.
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
inline constexpr std::uint32_t kAgentVersion = 2;
inline constexpr std::size_t kMaxFrame = 64 * 1024;  // payload of one frame
inline constexpr std::size_t kInputWindow = 256 * 1024;
inline constexpr std::size_t kMaxResult = 16 * 1024 * 1024;  // of kResultPath, in bytes
inline constexpr std::uint32_t kEndPatience = 10'000;        // milliseconds
inline constexpr const char* kResultPath = "/run/microagent/result";

enum class FrameType : std::uint8_t {
  hello = 1,            // le32 kAgentVersion
  ready = 2,            // GuestFacts as text (guest_config.h): what the guest really got
  failed = 3,           // text: why init gave up
  workload_exited = 4,  // ExitStatus
  result_ready = 5,     // empty: kResultPath has been written, perhaps again
  trusted = 6,          // text: why a certificate could not be installed everywhere; empty: it is
  shutdown = 10,        // le32 milliseconds until the machine is switched off; none: kEndPatience
  trust = 11,           // Trust
  exec = 20,            // ExecRequest
  input = 21,           // bytes for stdin
  input_end = 22,       // empty
  output = 23,          // bytes of stdout
  error_output = 24,    // bytes of stderr
  exited = 25,          // ExitStatus
  exec_failed = 26,     // ExitStatus with code 126 or 127, then text
  signal = 27,          // le32 signal number for the command's process group
  resize = 28,          // TerminalSize
  input_taken = 29,     // le32 bytes of input that the command has read since the last such frame
  put = 30,             // CopyRequest
  get = 31,             // CopyRequest
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

struct TerminalSize {
  le16 rows;
  le16 columns;
};
static_assert(sizeof(TerminalSize) == 4);

struct ExecRequest {
  std::vector<std::string> argv;  // never empty; argv[0] is looked up in PATH
  std::vector<std::string> env;   // KEY=VALUE, added to the workspace's own
  std::string workdir;            // empty: the workspace's own
  std::string user;               // NAME|UID[:GROUP|GID], of the guest's; empty: the workspace's own
  bool terminal = false;
  std::uint16_t rows = 0, columns = 0;
};

// Where a put unpacks or what a get packs.
struct CopyRequest {
  std::string path;         // absolute
  bool keep_owner = false;  // numeric owners as in the archive; else everything is root's
  bool follow = false;      // get: when `path` is a symbolic link, what it points to
};

// A certificate authority that intercepts what the guest sends. Without a certificate: nobody does.
struct Trust {
  std::string certificate;   // PEM, one
  std::string subject_hash;  // under which OpenSSL looks for it in a directory: eight hex digits

  bool operator==(const Trust&) const = default;
};
inline constexpr std::size_t kMaxCertificate = 16 * 1024;

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
std::optional<std::vector<std::uint8_t>> encode_copy(const CopyRequest& request);
std::optional<CopyRequest> parse_copy(ByteView payload);
// The certificate must be at most kMaxCertificate.
std::vector<std::uint8_t> encode_trust(const Trust& trust);
// Refuses what is no PEM by its outside, and hashes that are none.
std::optional<Trust> parse_trust(ByteView payload);
std::optional<ExitStatus> parse_exit_status(ByteView payload);
std::optional<TerminalSize> parse_terminal_size(ByteView payload);
// Of signal, input_taken and shutdown.
std::optional<std::uint32_t> parse_number(ByteView payload);

}  // namespace microagent::wire
