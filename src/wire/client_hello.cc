#include "wire/client_hello.h"

#include <algorithm>
#include <bitset>

namespace microagent::wire {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloMessage = 1;
constexpr std::size_t kRecordHead = 5;
constexpr std::size_t kMessageHead = 4;
constexpr std::size_t kMaxFragment = 16 * 1024;  // RFC 8446, 5.1
constexpr std::size_t kMaxHostName = 253;
constexpr std::size_t kMaxLabel = 63;

constexpr std::uint16_t kServerName = 0;
constexpr std::uint16_t kAlpn = 16;
constexpr std::uint16_t kEncryptedClientHello = 0xfe0d;
constexpr std::uint8_t kHostName = 0;

// A vector with its length in front (RFC 8446, 3.4).
bool take8(Reader& reader, ByteView& out) {
  Reader ahead = reader;
  std::uint8_t length = 0;
  if (!ahead.read(length) || !ahead.take(length, out)) return false;
  reader = ahead;
  return true;
}

bool take16(Reader& reader, ByteView& out) {
  Reader ahead = reader;
  be16 length;
  if (!ahead.read(length) || !ahead.take(length, out)) return false;
  reader = ahead;
  return true;
}

std::string text_of(ByteView bytes) { return std::string(bytes.begin(), bytes.end()); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_label_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

ClientHelloFault parse_server_name(ByteView extension, ClientHello& hello) {
  Reader reader(extension);
  ByteView list, name;
  if (!take16(reader, list) || reader.left() != 0) return ClientHelloFault::bad_structure;
  Reader names(list);
  std::uint8_t type = 0;
  if (!names.read(type) || type != kHostName || !take16(names, name) || names.left() != 0) {
    return ClientHelloFault::bad_name_list;
  }
  hello.server_name = text_of(name);
  return is_host_name(hello.server_name) ? ClientHelloFault::none : ClientHelloFault::bad_name;
}

ClientHelloFault parse_alpn(ByteView extension, ClientHello& hello) {
  Reader reader(extension);
  ByteView list;
  if (!take16(reader, list) || reader.left() != 0) return ClientHelloFault::bad_structure;
  if (list.empty()) return ClientHelloFault::bad_alpn;
  for (Reader protocols(list); protocols.left() != 0;) {
    ByteView protocol;
    if (!take8(protocols, protocol)) return ClientHelloFault::bad_structure;
    if (protocol.empty()) return ClientHelloFault::bad_alpn;
    hello.alpn.push_back(text_of(protocol));
  }
  return ClientHelloFault::none;
}

ClientHelloFault parse_extension(std::uint16_t type, ByteView content, ClientHello& hello) {
  if (type == kServerName) return parse_server_name(content, hello);
  if (type == kAlpn) return parse_alpn(content, hello);
  if (type == kEncryptedClientHello) hello.encrypted = true;
  return ClientHelloFault::none;
}

ClientHelloFault parse_extensions(ByteView extensions, ClientHello& hello) {
  std::bitset<65'536> seen;
  for (Reader reader(extensions); reader.left() != 0;) {
    be16 type;
    ByteView content;
    if (!reader.read(type) || !take16(reader, content) || seen.test(type)) return ClientHelloFault::bad_structure;
    seen.set(type);
    if (const ClientHelloFault fault = parse_extension(type, content, hello); fault != ClientHelloFault::none) {
      return fault;
    }
  }
  return ClientHelloFault::none;
}

ClientHelloFault parse_body(ByteView body, ClientHello& hello) {
  Reader reader(body);
  ByteView session, ciphers, compressions, extensions;
  if (!reader.skip(2 + 32)) return ClientHelloFault::bad_structure;  // version and random
  if (!take8(reader, session) || session.size() > 32) return ClientHelloFault::bad_structure;
  if (!take16(reader, ciphers) || ciphers.empty() || ciphers.size() % 2 != 0) return ClientHelloFault::bad_structure;
  if (!take8(reader, compressions) || compressions.empty()) return ClientHelloFault::bad_structure;
  if (reader.left() == 0) return ClientHelloFault::none;  // before TLS 1.2 extensions may be left out
  if (!take16(reader, extensions) || reader.left() != 0) return ClientHelloFault::bad_structure;
  return parse_extensions(extensions, hello);
}

}  // namespace

std::string_view to_string(ClientHelloFault fault) {
  switch (fault) {
    case ClientHelloFault::none: return "nothing wrong";
    case ClientHelloFault::not_tls: return "no TLS";
    case ClientHelloFault::too_long: return "a ClientHello that is too long";
    case ClientHelloFault::bad_record: return "a ClientHello mixed with other records";
    case ClientHelloFault::bad_structure: return "a ClientHello whose parts do not fit";
    case ClientHelloFault::bad_name_list: return "a ClientHello without exactly one host name in its list";
    case ClientHelloFault::bad_name: return "a server name that is no host name";
    case ClientHelloFault::bad_alpn: return "an empty application protocol";
  }
  return "unknown";
}

bool is_host_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxHostName) return false;
  for (;;) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > kMaxLabel || !std::ranges::all_of(label, is_label_character)) return false;
    if (label.size() < name.size()) {
      name.remove_prefix(label.size() + 1);
      continue;
    }
    // inet_aton(3) reads 10.1, 0x7f000001 and 017700000001 as addresses. A name's last label is never a number.
    const bool hexadecimal = label.starts_with("0x") || label.starts_with("0X");
    return !hexadecimal && !std::ranges::all_of(label, is_digit);
  }
}

ClientHelloReader::State ClientHelloReader::feed(ByteView bytes) {
  while (state_ == State::incomplete && !bytes.empty()) {
    if (received_ == kMaxClientHello) {
      fail(ClientHelloFault::too_long);
      break;
    }
    if (record_left_ == 0) {
      ++received_;
      take_record_byte(bytes.front());
      bytes = bytes.subspan(1);
      continue;
    }
    const std::size_t wanted = message_size_ == 0 ? kMessageHead : message_size_;
    const std::size_t count =
        std::min({bytes.size(), record_left_, wanted - message_.size(), kMaxClientHello - received_});
    message_.insert(message_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    record_left_ -= count;
    received_ += count;
    if (message_size_ == 0 && message_.size() == kMessageHead && !begin_message()) break;
    if (message_size_ != 0 && message_.size() == message_size_ && !finish()) break;
  }
  return state_;
}

// Told apart from other protocols as early as their bytes differ, so that nobody waits for what will never come.
bool ClientHelloReader::take_record_byte(std::uint8_t byte) {
  const ClientHelloFault fault = message_.empty() ? ClientHelloFault::not_tls : ClientHelloFault::bad_record;
  record_head_.push_back(byte);
  if (record_head_.size() == 1 && byte != kHandshakeRecord) return fail(fault);
  if (record_head_.size() == 2 && byte != 3) return fail(fault);
  if (record_head_.size() == 3 && byte > 4) return fail(fault);
  return record_head_.size() < kRecordHead || begin_record();
}

bool ClientHelloReader::begin_record() {
  const std::size_t length = static_cast<std::size_t>(record_head_[3] << 8 | record_head_[4]);
  record_head_.clear();
  if (length == 0 || length > kMaxFragment) {
    return fail(message_.empty() ? ClientHelloFault::not_tls : ClientHelloFault::bad_record);
  }
  record_left_ = length;
  return true;
}

bool ClientHelloReader::begin_message() {
  if (message_[0] != kClientHelloMessage) return fail(ClientHelloFault::not_tls);
  const std::size_t length = static_cast<std::size_t>(message_[1] << 16 | message_[2] << 8 | message_[3]);
  if (length == 0) return fail(ClientHelloFault::bad_structure);
  if (length > kMaxClientHello - kMessageHead) return fail(ClientHelloFault::too_long);
  message_size_ = kMessageHead + length;
  message_.reserve(message_size_);
  return true;
}

bool ClientHelloReader::finish() {
  if (record_left_ != 0) return fail(ClientHelloFault::bad_record);
  const ClientHelloFault fault = parse_body(ByteView(message_).subspan(kMessageHead), hello_);
  if (fault != ClientHelloFault::none) return fail(fault);
  state_ = State::complete;
  message_ = {};
  return true;
}

bool ClientHelloReader::fail(ClientHelloFault fault) {
  state_ = State::failed;
  fault_ = fault;
  hello_ = {};
  message_ = {};
  return false;
}

}  // namespace microagent::wire
