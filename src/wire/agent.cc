#include "wire/agent.h"

#include <algorithm>

#include "base/check.h"

namespace microagent::wire {
namespace {

// Payload of exec: ExecHead, then argv and env as a count and that many texts, then workdir and, unless it is empty,
// user: a guest that was started before there was one runs on when the host's programs are replaced. A text is le32
// length and its bytes, none of them NUL.
constexpr std::uint8_t kTerminal = 1;
struct ExecHead {
  TerminalSize size;
  std::uint8_t flags = 0;
};
static_assert(sizeof(ExecHead) == 5);

// Payload of put and get: one byte of flags, then the path.
constexpr std::uint8_t kKeepOwner = 1;
constexpr std::uint8_t kFollow = 2;

bool is_known(FrameType type) {
  switch (type) {
    case FrameType::hello:
    case FrameType::ready:
    case FrameType::failed:
    case FrameType::workload_exited:
    case FrameType::result_ready:
    case FrameType::trusted:
    case FrameType::shutdown:
    case FrameType::trust:
    case FrameType::exec:
    case FrameType::input:
    case FrameType::input_end:
    case FrameType::output:
    case FrameType::error_output:
    case FrameType::exited:
    case FrameType::exec_failed:
    case FrameType::signal:
    case FrameType::resize:
    case FrameType::input_taken:
    case FrameType::put:
    case FrameType::get: return true;
  }
  return false;
}

bool is_sound(const FrameHeader& header) {
  const bool reserved = std::ranges::any_of(header.reserved, [](std::uint8_t byte) { return byte != 0; });
  return is_known(header.type) && !reserved && header.length <= kMaxFrame;
}

constexpr std::string_view kCertificateBegin = "-----BEGIN CERTIFICATE-----\n";
constexpr std::string_view kCertificateEnd = "-----END CERTIFICATE-----\n";
constexpr std::size_t kHashDigits = 8;

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// NAME=VALUE with a name.
bool is_variable(std::string_view text) {
  const std::size_t equals = text.find('=');
  return equals != std::string_view::npos && equals != 0;
}

ByteView bytes_of_text(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

bool write_text(Writer& writer, std::string_view text) {
  if (text.size() > kMaxFrame) return false;
  return writer.write(le32(static_cast<std::uint32_t>(text.size()))) && writer.write(bytes_of_text(text));
}

bool write_texts(Writer& writer, const std::vector<std::string>& texts) {
  if (texts.size() > kMaxFrame || !writer.write(le32(static_cast<std::uint32_t>(texts.size())))) return false;
  return std::ranges::all_of(texts, [&](const std::string& text) { return write_text(writer, text); });
}

bool read_text(Reader& reader, std::string& text) {
  le32 length;
  ByteView bytes;
  if (!reader.read(length) || !reader.take(length, bytes)) return false;
  text.assign(bytes.begin(), bytes.end());
  return !has_nul(text);
}

bool read_texts(Reader& reader, std::vector<std::string>& texts) {
  le32 count;
  if (!reader.read(count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    // Every text takes at least its length field, so a lie about the count ends soon.
    if (!read_text(reader, texts.emplace_back())) return false;
  }
  return true;
}

// One way to say each thing: an empty one is left out.
bool read_user(Reader& reader, std::string& user) {
  return reader.left() == 0 || (read_text(reader, user) && !user.empty());
}

template <typename T>
std::optional<T> parse_exactly(ByteView payload) {
  T value;
  Reader reader(payload);
  if (!reader.read(value) || reader.left() != 0) return std::nullopt;
  return value;
}

}  // namespace

void FrameReader::feed(ByteView bytes) {
  if (broken_) return;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(consumed_));
  consumed_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::optional<FrameReader::Frame> FrameReader::next() {
  Reader reader(ByteView(buffer_).subspan(consumed_));
  FrameHeader header;
  if (broken_ || !reader.read(header)) return std::nullopt;
  if (!is_sound(header)) {
    broken_ = true;
    buffer_.clear();
    consumed_ = 0;
    return std::nullopt;
  }
  ByteView payload;
  if (!reader.take(header.length, payload)) return std::nullopt;
  consumed_ += sizeof header + payload.size();
  return Frame{header.type, {payload.begin(), payload.end()}};
}

std::vector<std::uint8_t> encode_frame(FrameType type, ByteView payload) {
  MICROAGENT_CHECK(payload.size() <= kMaxFrame);
  FrameHeader header;
  header.type = type;
  header.length = static_cast<std::uint32_t>(payload.size());
  std::vector<std::uint8_t> frame;
  frame.reserve(sizeof header + payload.size());
  const ByteView head = bytes_of(header);
  frame.insert(frame.end(), head.begin(), head.end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

std::vector<std::uint8_t> encode_frame(FrameType type, std::string_view text) {
  return encode_frame(type, bytes_of_text(text));
}

std::optional<std::vector<std::uint8_t>> encode_exec(const ExecRequest& request) {
  MICROAGENT_CHECK(!request.argv.empty());
  ExecHead head;
  head.size = {request.rows, request.columns};
  head.flags = request.terminal ? kTerminal : 0;
  std::vector<std::uint8_t> payload(kMaxFrame);
  Writer writer(payload);
  const bool fits = writer.write(head) && write_texts(writer, request.argv) && write_texts(writer, request.env) &&
                    write_text(writer, request.workdir) && (request.user.empty() || write_text(writer, request.user));
  if (!fits) return std::nullopt;
  payload.resize(writer.written());
  return payload;
}

std::optional<ExecRequest> parse_exec(ByteView payload) {
  Reader reader(payload);
  ExecHead head;
  if (!reader.read(head) || (head.flags & ~kTerminal) != 0) return std::nullopt;
  ExecRequest request;
  request.terminal = head.flags != 0;
  request.rows = head.size.rows;
  request.columns = head.size.columns;
  const bool whole = read_texts(reader, request.argv) && read_texts(reader, request.env) &&
                     read_text(reader, request.workdir) && read_user(reader, request.user) && reader.left() == 0;
  if (!whole || request.argv.empty() || !std::ranges::all_of(request.env, is_variable)) return std::nullopt;
  return request;
}

std::optional<std::vector<std::uint8_t>> encode_copy(const CopyRequest& request) {
  if (request.path.size() >= kMaxFrame) return std::nullopt;
  std::vector<std::uint8_t> payload{
      static_cast<std::uint8_t>((request.keep_owner ? kKeepOwner : 0) | (request.follow ? kFollow : 0))};
  payload.insert(payload.end(), request.path.begin(), request.path.end());
  return payload;
}

std::optional<CopyRequest> parse_copy(ByteView payload) {
  Reader reader(payload);
  std::uint8_t flags = 0;
  if (!reader.read(flags) || (flags & ~(kKeepOwner | kFollow)) != 0) return std::nullopt;
  CopyRequest request;
  request.keep_owner = (flags & kKeepOwner) != 0;
  request.follow = (flags & kFollow) != 0;
  request.path.assign(reader.rest().begin(), reader.rest().end());
  if (!request.path.starts_with('/') || has_nul(request.path)) return std::nullopt;
  return request;
}

std::vector<std::uint8_t> encode_trust(const Trust& trust) {
  MICROAGENT_CHECK(trust.certificate.size() <= kMaxCertificate && trust.subject_hash.size() <= kHashDigits);
  std::vector<std::uint8_t> payload(2 * sizeof(le32) + trust.certificate.size() + trust.subject_hash.size());
  Writer writer{MutableBytes(payload)};
  MICROAGENT_CHECK(write_text(writer, trust.certificate) && write_text(writer, trust.subject_hash));
  return payload;
}

std::optional<Trust> parse_trust(ByteView payload) {
  Reader reader(payload);
  Trust trust;
  if (!read_text(reader, trust.certificate) || !read_text(reader, trust.subject_hash) || reader.left() != 0) {
    return std::nullopt;
  }
  if (trust == Trust()) return trust;
  const std::string_view certificate = trust.certificate;
  const bool sound = certificate.size() <= kMaxCertificate && certificate.starts_with(kCertificateBegin) &&
                     certificate.ends_with(kCertificateEnd) && is_hash(trust.subject_hash);
  return sound ? std::optional(std::move(trust)) : std::nullopt;
}

std::optional<ExitStatus> parse_exit_status(ByteView payload) { return parse_exactly<ExitStatus>(payload); }

std::optional<TerminalSize> parse_terminal_size(ByteView payload) { return parse_exactly<TerminalSize>(payload); }

std::optional<std::uint32_t> parse_number(ByteView payload) {
  const auto number = parse_exactly<le32>(payload);
  if (!number) return std::nullopt;
  return std::uint32_t{*number};
}

}  // namespace microagent::wire
