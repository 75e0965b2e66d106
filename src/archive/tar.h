#pragma once

// Tar streams, a few at a time: POSIX ustar with pax extended headers (IEEE Std 1003.1, pax) written; those, GNU's long
// names and numbers, and the older v7 form read. Pure: no file is touched here. A stream is the work of whoever sends
// it, so every field is checked.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace microagent::archive {

inline constexpr std::size_t kBlock = 512;
inline constexpr std::size_t kMaxPath = 4095;            // PATH_MAX without its NUL
inline constexpr std::size_t kMaxExtension = 64 * 1024;  // of one extended header or long name
inline constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 62;

enum class EntryType : std::uint8_t { file, directory, symlink, hardlink, fifo };

struct Entry {
  std::string path;  // as in the archive; directories without their trailing slash
  EntryType type = EntryType::file;
  std::uint32_t mode = 0;  // permissions: 07777
  std::uint32_t uid = 0, gid = 0;
  std::int64_t mtime = 0;  // seconds
  std::uint64_t size = 0;  // of a file
  std::string link;        // target of a symlink; for a hard link another entry's path
  bool operator==(const Entry&) const = default;
};

// The header of an entry, extended where ustar's fields do not suffice; whole blocks. Content follows, filled up to
// whole blocks with zeros. Path and link at most kMaxPath, without NUL.
std::string encode_header(const Entry& entry);

// What ends an archive.
inline std::string encode_end() { return std::string(2 * kBlock, '\0'); }

// How many zeros follow `size` bytes of content.
inline std::size_t padding_of(std::uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

enum class TarError : std::uint8_t {
  none,
  bad_checksum,
  bad_number,
  bad_path,
  bad_extension,
  unsupported_type,  // devices, sparse files, parts of several volumes
  truncated,
};
std::string_view to_string(TarError error);

// Receives what an archive holds, in its order: an entry, for a file its content in pieces, its end. Returning false
// stops the parser for good.
class TarSink {
 public:
  virtual ~TarSink() = default;
  virtual bool on_entry(const Entry& entry) = 0;
  virtual bool on_content(ByteView bytes) = 0;
  virtual bool on_entry_end() = 0;
};

// Cuts a stream into entries. Feed it what arrives, in any pieces.
class TarParser {
 public:
  explicit TarParser(TarSink& sink) : sink_(sink) {}

  // False once the archive is no archive (error()) or the sink wants no more.
  bool feed(ByteView bytes);
  // The stream is over; false when it was cut.
  bool finish();

  TarError error() const { return error_; }

 private:
  enum class State : std::uint8_t { header, extension, content, padding, end, stopped };
  struct Extension {
    std::optional<std::string> path, link;
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> uid, gid;
    std::optional<std::int64_t> mtime;
    bool operator==(const Extension&) const = default;
  };

  bool take_header(ByteView& bytes);
  bool take_extension(ByteView& bytes);
  bool take_content(ByteView& bytes);
  bool on_header();
  bool begin_entry(Entry entry);
  bool end_entry();
  bool begin_extension(char type, std::uint64_t size);
  bool on_extension();
  bool on_pax_records(std::string_view records);
  bool set_pax(std::string_view key, std::string_view value);
  void begin(State state, std::uint64_t size);
  void begin_padding();
  bool stop(TarError error);

  TarSink& sink_;
  State state_ = State::header;
  TarError error_ = TarError::none;
  std::vector<std::uint8_t> block_;  // the part of a header block, or of an extension, that has come
  std::uint64_t left_ = 0;           // of content, extension or padding
  std::size_t padding_ = 0;          // behind the content or extension
  char extension_type_ = 0;
  Extension extension_;      // for the next entry
  bool zero_block_ = false;  // the last header block was all zeros
};

}  // namespace microagent::archive
