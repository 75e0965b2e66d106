#include "archive/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace microagent::archive {
namespace {

// A header block (pax, "ustar Interchange Format").
struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char unused[12];
};
static_assert(sizeof(Header) == kBlock && alignof(Header) == 1);

constexpr char kPax = 'x', kGlobalPax = 'g', kGnuLongName = 'L', kGnuLongLink = 'K';

template <std::size_t Size>
std::string_view text_of(const char (&field)[Size]) {
  return {field, ::strnlen(field, Size)};
}

// Octal digits with a NUL behind them; false when the number has too many.
template <std::size_t Size>
bool put_octal(char (&field)[Size], std::uint64_t number) {
  for (std::size_t i = Size - 1; i-- > 0; number >>= 3) field[i] = static_cast<char>('0' + (number & 7));
  return number == 0;
}

// Octal digits between spaces and NULs, or GNU's base 256: first bit set, big endian.
template <std::size_t Size>
std::optional<std::uint64_t> parse_number(const char (&field)[Size]) {
  std::uint64_t number = 0;
  if ((static_cast<unsigned char>(field[0]) & 0x80) != 0) {
    for (std::size_t i = 0; i < Size; ++i) {
      const auto byte = static_cast<std::uint8_t>(i == 0 ? field[i] & 0x7f : field[i]);
      if (number >> 55 != 0) return std::nullopt;  // more than 63 bits, or negative
      number = number << 8 | byte;
    }
    return number;
  }
  std::string_view digits = text_of(field);
  while (digits.starts_with(' ')) digits.remove_prefix(1);
  while (digits.ends_with(' ')) digits.remove_suffix(1);
  for (const char digit : digits) {
    if (digit < '0' || digit > '7') return std::nullopt;
    number = number << 3 | static_cast<std::uint64_t>(digit - '0');
  }
  return number;
}

unsigned checksum_of(const Header& header) {
  Header copy = header;
  std::memset(copy.checksum, ' ', sizeof copy.checksum);
  unsigned sum = 0;
  for (const std::uint8_t byte : bytes_of(copy)) sum += byte;
  return sum;
}

char type_of(EntryType type) {
  switch (type) {
    case EntryType::file: return '0';
    case EntryType::hardlink: return '1';
    case EntryType::symlink: return '2';
    case EntryType::directory: return '5';
    case EntryType::fifo: return '6';
  }
  return '0';
}

std::optional<EntryType> entry_type_of(char type) {
  switch (type) {
    case '\0':
    case '0':
    case '7': return EntryType::file;
    case '1': return EntryType::hardlink;
    case '2': return EntryType::symlink;
    case '5': return EntryType::directory;
    case '6': return EntryType::fifo;
    default: return std::nullopt;
  }
}

// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
void append_pax_record(std::string& records, std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (length != rest + std::to_string(length).size()) ++length;
  records.append(std::to_string(length)).append(" ").append(key).append("=").append(value).append("\n");
}

void append_padded(std::string& blocks, std::string_view content) {
  blocks.append(content).append(padding_of(content.size()), '\0');
}

void append_block(std::string& blocks, Header& header) {
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  const unsigned sum = checksum_of(header);
  char digits[7] = {};
  put_octal(digits, sum);
  std::memcpy(header.checksum, digits, sizeof digits);
  header.checksum[7] = ' ';
  blocks.append(reinterpret_cast<const char*>(&header), sizeof header);
}

void append_pax_header(std::string& blocks, std::string_view records) {
  Header header{};
  std::memcpy(header.name, "pax", 3);
  put_octal(header.mode, 0644);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.mtime, 0);
  put_octal(header.size, records.size());
  header.type = kPax;
  append_block(blocks, header);
  append_padded(blocks, records);
}

// As much of the text as the field holds; false when that is not all of it.
template <std::size_t Size>
bool put_text(char (&field)[Size], std::string_view text) {
  std::memcpy(field, text.data(), std::min(text.size(), Size));
  return text.size() <= Size;
}

std::optional<std::uint64_t> parse_decimal(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

template <typename To>
bool assign_decimal(std::optional<To>& to, std::string_view digits, std::uint64_t limit) {
  const auto number = parse_decimal(digits);
  if (!number || *number > limit) return false;
  to = static_cast<To>(*number);
  return true;
}

bool is_path(std::string_view text) {
  return !text.empty() && text.size() <= kMaxPath && text.find('\0') == std::string_view::npos;
}

std::string path_of(const Header& header) {
  std::string path(text_of(header.name));
  const bool is_posix = std::memcmp(header.magic, "ustar", 6) == 0;
  const std::string_view prefix = text_of(header.prefix);
  return is_posix && !prefix.empty() ? std::string(prefix).append("/").append(path) : path;
}

}  // namespace

std::string_view to_string(TarError error) {
  switch (error) {
    case TarError::none: return "no error";
    case TarError::bad_checksum: return "a header's checksum is wrong";
    case TarError::bad_number: return "a header holds no number where one belongs";
    case TarError::bad_path: return "an entry has no path, or one that is too long";
    case TarError::bad_extension: return "an extended header is malformed";
    case TarError::unsupported_type: return "an entry is neither file, directory, link nor pipe";
    case TarError::truncated: return "the archive is cut short";
  }
  return "unknown error";
}

std::string encode_header(const Entry& entry) {
  MICROAGENT_CHECK(is_path(entry.path) && entry.link.size() <= kMaxPath && entry.size <= kMaxSize);
  Header header{};
  std::string records;
  const std::string path = entry.type == EntryType::directory ? entry.path + "/" : entry.path;
  if (!put_text(header.name, path)) append_pax_record(records, "path", path);
  if (!put_text(header.link, entry.link)) append_pax_record(records, "linkpath", entry.link);
  put_octal(header.mode, entry.mode & 07777);
  if (!put_octal(header.uid, entry.uid)) append_pax_record(records, "uid", std::to_string(entry.uid));
  if (!put_octal(header.gid, entry.gid)) append_pax_record(records, "gid", std::to_string(entry.gid));
  const std::uint64_t size = entry.type == EntryType::file ? entry.size : 0;
  if (!put_octal(header.size, size)) append_pax_record(records, "size", std::to_string(size));
  // Before 1970 there were no files worth a record of their own.
  const auto mtime = static_cast<std::uint64_t>(std::max<std::int64_t>(entry.mtime, 0));
  if (!put_octal(header.mtime, mtime)) append_pax_record(records, "mtime", std::to_string(mtime));
  put_octal(header.major, 0);
  put_octal(header.minor, 0);
  header.type = type_of(entry.type);
  std::string blocks;
  if (!records.empty()) append_pax_header(blocks, records);
  append_block(blocks, header);
  return blocks;
}

bool TarParser::stop(TarError error) {
  state_ = State::stopped;
  error_ = error;
  return false;
}

void TarParser::begin(State state, std::uint64_t size) {
  state_ = state;
  left_ = size;
  padding_ = padding_of(size);
}

void TarParser::begin_padding() {
  left_ = std::exchange(padding_, 0);
  state_ = left_ == 0 ? State::header : State::padding;
}

bool TarParser::feed(ByteView bytes) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::stopped: return false;
      case State::end: return true;  // whatever stands behind the end is padding
      case State::header:
        if (!take_header(bytes)) return false;
        break;
      case State::extension:
        if (!take_extension(bytes)) return false;
        break;
      case State::content:
        if (!take_content(bytes)) return false;
        break;
      case State::padding: {
        const std::size_t count = std::min<std::uint64_t>(left_, bytes.size());
        bytes = bytes.subspan(count);
        left_ -= count;
        if (left_ == 0) begin_padding();
        break;
      }
    }
  }
  return state_ != State::stopped;
}

bool TarParser::finish() {
  if (state_ == State::stopped) return false;
  // Some writers leave out the end; a cut inside an entry is another thing.
  const bool whole = state_ == State::end || (state_ == State::header && block_.empty() && extension_ == Extension{});
  return whole || stop(TarError::truncated);
}

bool TarParser::take_header(ByteView& bytes) {
  const std::size_t count = std::min(kBlock - block_.size(), bytes.size());
  block_.insert(block_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  bytes = bytes.subspan(count);
  return block_.size() < kBlock || on_header();
}

bool TarParser::take_extension(ByteView& bytes) {
  const std::size_t count = std::min<std::uint64_t>(left_, bytes.size());
  block_.insert(block_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  bytes = bytes.subspan(count);
  left_ -= count;
  return left_ != 0 || on_extension();
}

bool TarParser::take_content(ByteView& bytes) {
  const std::size_t count = std::min<std::uint64_t>(left_, bytes.size());
  if (!sink_.on_content(bytes.first(count))) return stop(TarError::none);
  bytes = bytes.subspan(count);
  left_ -= count;
  return left_ != 0 || end_entry();
}

bool TarParser::on_header() {
  Header header{};
  std::memcpy(&header, block_.data(), sizeof header);
  const bool zero = std::ranges::all_of(block_, [](std::uint8_t byte) { return byte == 0; });
  block_.clear();
  if (zero) {
    if (zero_block_) state_ = State::end;
    zero_block_ = true;
    return true;
  }
  zero_block_ = false;
  const auto sum = parse_number(header.checksum);
  if (!sum || *sum != checksum_of(header)) return stop(TarError::bad_checksum);
  const auto mode = parse_number(header.mode), uid = parse_number(header.uid), gid = parse_number(header.gid),
             size = parse_number(header.size), mtime = parse_number(header.mtime);
  if (!mode || !uid || !gid || !size || !mtime) return stop(TarError::bad_number);
  if (*size > kMaxSize || *uid > UINT32_MAX || *gid > UINT32_MAX) return stop(TarError::bad_number);
  switch (header.type) {
    case kPax:
    case kGlobalPax:
    case kGnuLongName:
    case kGnuLongLink: return begin_extension(header.type, *size);
    default: break;
  }
  const auto type = entry_type_of(header.type);
  if (!type) return stop(TarError::unsupported_type);
  return begin_entry({path_of(header), *type, static_cast<std::uint32_t>(*mode & 07777),
                      static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid),
                      static_cast<std::int64_t>(*mtime), *size, std::string(text_of(header.link))});
}

bool TarParser::begin_entry(Entry entry) {
  Extension extension = std::exchange(extension_, {});
  if (extension.path) entry.path = std::move(*extension.path);
  if (extension.link) entry.link = std::move(*extension.link);
  entry.size = extension.size.value_or(entry.size);
  entry.uid = extension.uid.value_or(entry.uid);
  entry.gid = extension.gid.value_or(entry.gid);
  entry.mtime = extension.mtime.value_or(entry.mtime);
  // Before there was a type for it, a directory was a file with a slash behind its name.
  if (entry.type == EntryType::file && entry.path.ends_with('/')) entry.type = EntryType::directory;
  while (entry.path.size() > 1 && entry.path.ends_with('/')) entry.path.pop_back();
  if (entry.type != EntryType::file) entry.size = 0;
  const bool is_link = entry.type == EntryType::symlink || entry.type == EntryType::hardlink;
  if (!is_link) entry.link.clear();
  if (!is_path(entry.path) || (is_link && !is_path(entry.link))) return stop(TarError::bad_path);
  if (!sink_.on_entry(entry)) return stop(TarError::none);
  begin(State::content, entry.size);
  return entry.size != 0 || end_entry();
}

bool TarParser::end_entry() {
  if (!sink_.on_entry_end()) return stop(TarError::none);
  begin_padding();
  return true;
}

bool TarParser::begin_extension(char type, std::uint64_t size) {
  if (size > kMaxExtension || size == 0) return stop(TarError::bad_extension);
  extension_type_ = type;
  begin(State::extension, size);
  return true;
}

bool TarParser::on_extension() {
  const std::string content(block_.begin(), block_.end());
  block_.clear();
  begin_padding();
  const std::string text = content.substr(0, content.find('\0'));
  switch (extension_type_) {
    case kGnuLongName: extension_.path = text; return true;
    case kGnuLongLink: extension_.link = text; return true;
    case kPax: return on_pax_records(content);
    default: return true;  // what would hold for all entries is nothing that we use
  }
}

bool TarParser::on_pax_records(std::string_view records) {
  while (!records.empty()) {
    const std::size_t space = records.find(' ');
    const auto length = parse_decimal(records.substr(0, space));
    if (space == std::string_view::npos || !length || *length > records.size() || *length < space + 3) {
      return stop(TarError::bad_extension);
    }
    std::string_view record = records.substr(space + 1, *length - space - 1);
    records.remove_prefix(*length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos || !record.ends_with('\n')) return stop(TarError::bad_extension);
    record.remove_suffix(1);
    if (!set_pax(record.substr(0, equals), record.substr(equals + 1))) return stop(TarError::bad_extension);
  }
  return true;
}

bool TarParser::set_pax(std::string_view key, std::string_view value) {
  if (key == "path") extension_.path = value;
  if (key == "linkpath") extension_.link = value;
  if (key == "size") return assign_decimal(extension_.size, value, kMaxSize);
  if (key == "uid") return assign_decimal(extension_.uid, value, UINT32_MAX);
  if (key == "gid") return assign_decimal(extension_.gid, value, UINT32_MAX);
  // A file's content would not be what its size says.
  if (key.starts_with("GNU.sparse.")) return false;
  if (key != "mtime") return true;
  // Fractions are of no use to us, times before 1970 neither.
  if (value.starts_with('-')) return true;
  return assign_decimal(extension_.mtime, value.substr(0, value.find('.')), INT64_MAX);
}

}  // namespace microagent::archive
