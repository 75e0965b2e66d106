#include "archive/tar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace microagent::archive {
namespace {

// Keeps what a parser tells, as one text.
class Listing final : public TarSink {
 public:
  bool on_entry(const Entry& entry) override {
    entries.push_back(entry);
    content.emplace_back();
    return true;
  }
  bool on_content(ByteView bytes) override {
    content.back().append(bytes.begin(), bytes.end());
    return true;
  }
  bool on_entry_end() override {
    ++ends;
    return true;
  }

  std::vector<Entry> entries;
  std::vector<std::string> content;
  std::size_t ends = 0;
};

ByteView bytes_of_text(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TarError parse(std::string_view archive, Listing& listing, std::size_t step) {
  TarParser parser(listing);
  for (std::size_t at = 0; at < archive.size(); at += step) {
    if (!parser.feed(bytes_of_text(archive.substr(at, step)))) return parser.error();
  }
  return parser.finish() ? TarError::none : parser.error();
}

TarError parse(std::string_view archive) {
  Listing listing;
  return parse(archive, listing, archive.size() + 1);
}

std::string with_content(const Entry& entry, std::string_view content) {
  return encode_header(entry) + std::string(content) + std::string(padding_of(content.size()), '\0');
}

std::vector<Entry> sample_entries() {
  return {{"data", EntryType::directory, 01777, 0, 0, 1'700'000'000, 0, ""},
          {"data/file", EntryType::file, 04755, 1000, 1000, 1'700'000'001, 5, ""},
          {"data/link", EntryType::symlink, 0777, 0, 0, 0, 0, "../elsewhere"},
          {"data/again", EntryType::hardlink, 0755, 0, 0, 0, 0, "data/file"},
          {"data/pipe", EntryType::fifo, 0600, 0, 0, 0, 0, ""},
          {std::string("data/") + std::string(200, 'n'), EntryType::file, 0644, 3'000'000, 4'294'967'295U,
           10'000'000'000, 0, ""},
          {"data/far", EntryType::symlink, 0777, 0, 0, 0, 0, std::string(300, 't')},
          {std::string(99, 'd'), EntryType::directory, 0755, 0, 0, 0, 0, ""},
          {std::string(100, 'd'), EntryType::directory, 0755, 0, 0, 0, 0, ""}};
}

std::string sample_archive() {
  std::string archive;
  for (const Entry& entry : sample_entries()) archive += with_content(entry, entry.size == 5 ? "hello" : "");
  return archive + encode_end();
}

// A raw header block of a type that encode_header() does not write.
std::string raw_header(char type, std::string_view name, std::size_t size) {
  std::string block = encode_header({std::string(name), EntryType::file, 0644, 0, 0, 0, size, ""});
  block[156] = type;
  std::fill_n(block.begin() + 148, 8, ' ');
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(block.data() + 148, 8, "%06o", sum);
  return block;
}

std::string extension(char type, std::string_view content) {
  std::string block = raw_header(type, "extension", content.size()) + std::string(content);
  return block + std::string(padding_of(content.size()), '\0');
}

const Entry kPlain{"plain", EntryType::file, 0644, 0, 0, 0, 0, ""};

TEST(Tar, SurvivesTheRoundTripInAnyPieces) {
  const std::string archive = sample_archive();
  for (const std::size_t step : {1UL, 7UL, 511UL, 512UL, 513UL, archive.size()}) {
    Listing listing;
    EXPECT_EQ(parse(archive, listing, step), TarError::none);
    EXPECT_EQ(listing.entries, sample_entries()) << step;
    EXPECT_EQ(listing.content[1], "hello");
    EXPECT_EQ(listing.ends, listing.entries.size());
  }
}

TEST(Tar, IsWhatTheStandardSays) {
  const std::string header = encode_header(sample_entries()[1]);
  ASSERT_EQ(header.size(), kBlock);
  EXPECT_STREQ(header.c_str(), "data/file");
  EXPECT_EQ(header.substr(100, 8), std::string("0004755\0", 8));
  EXPECT_EQ(header.substr(108, 8), std::string("0001750\0", 8));
  EXPECT_EQ(header.substr(124, 12), std::string("00000000005\0", 12));
  EXPECT_EQ(header[156], '0');
  EXPECT_EQ(header.substr(257, 8), std::string("ustar\00000", 8));
}

TEST(Tar, PaxRecordsCountThemselves) {
  // 100 bytes of path need "111 path=...\n": three digits, of which the last makes the count grow.
  const std::string path(101, 'p');
  const std::string header = encode_header({path, EntryType::file, 0, 0, 0, 0, 0, ""});
  EXPECT_EQ(header.size(), 3 * kBlock);
  EXPECT_EQ(header.substr(kBlock, 111), "111 path=" + path + "\n");
}

TEST(Tar, NoticesACutAnywhere) {
  const std::string archive = sample_archive();
  for (std::size_t length = 1; length < archive.size() - 2 * kBlock; length += 13) {
    Listing listing;
    const TarError error = parse(archive.substr(0, length), listing, length);
    // Between entries there is no telling that more was to come.
    if (length % kBlock != 0) EXPECT_EQ(error, TarError::truncated) << length;
  }
  EXPECT_EQ(parse(archive.substr(0, 2 * kBlock)), TarError::truncated);  // a file's header without its content
  EXPECT_EQ(parse(extension('L', "long name")), TarError::truncated);    // which belongs to an entry
}

TEST(Tar, TakesWhatIsBehindTheEndForPadding) {
  EXPECT_EQ(parse(sample_archive() + std::string(10'000, 'x')), TarError::none);
  EXPECT_EQ(parse(encode_header(kPlain) + std::string(kBlock, '\0') + encode_header(kPlain)), TarError::none);
}

TEST(Tar, ChecksTheChecksum) {
  const std::string header = encode_header(kPlain);
  for (const std::size_t at : {0U, 101U, 150U, 300U, 511U}) {
    std::string spoiled = header;
    spoiled[at] = static_cast<char>(spoiled[at] ^ 1);
    EXPECT_EQ(parse(spoiled), TarError::bad_checksum) << at;
  }
}

TEST(Tar, RefusesDevicesAndWhatItDoesNotKnow) {
  for (const char type : {'3', '4', 'S', 'M', 'V', 'D', '9'}) {
    EXPECT_EQ(parse(raw_header(type, "name", 0)), TarError::unsupported_type) << type;
  }
}

TEST(Tar, ReadsTheFormsOfOthers) {
  Listing listing;
  const std::string archive = extension('L', std::string(150, 'g') + '\0') +
                              extension('K', std::string(150, 'k') + '\0') + raw_header('2', "short", 0) +
                              extension('g', "20 comment=for all!\n") + raw_header('\0', "old/", 0) +
                              extension('x', "12 uid=1234\n30 mtime=1700000000.123456789\n") + encode_header(kPlain);
  EXPECT_EQ(parse(archive, listing, 100), TarError::none);
  ASSERT_EQ(listing.entries.size(), 3U);
  EXPECT_EQ(listing.entries[0].path, std::string(150, 'g'));
  EXPECT_EQ(listing.entries[0].link, std::string(150, 'k'));
  EXPECT_EQ(listing.entries[1].path, "old");
  EXPECT_EQ(listing.entries[1].type, EntryType::directory);
  EXPECT_EQ(listing.entries[2].uid, 1234U);
  EXPECT_EQ(listing.entries[2].mtime, 1'700'000'000);
}

TEST(Tar, ReadsNumbersInBase256) {
  std::string header = raw_header('0', "big", 0);
  const std::string eight_gib("\x80\0\0\0\0\0\0\x02\0\0\0\0", 12);
  header.replace(124, 12, eight_gib);
  header = header.substr(0, kBlock);
  std::fill_n(header.begin() + 148, 8, ' ');
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  std::snprintf(header.data() + 148, 8, "%06o", sum);
  Listing listing;
  EXPECT_EQ(parse(header, listing, kBlock), TarError::truncated);
  EXPECT_EQ(listing.entries.at(0).size, std::uint64_t{8} << 30);
}

TEST(Tar, RefusesMalformedExtensions) {
  for (const char* records : {"9 path=a", "x path=a\n", "99 path=a\n", "2 \n", "4 ab\n", "0 path=a\n", "12 size=1x34\n",
                              "12 uid=-123\n", "21 uid=999999999999\n", "22 GNU.sparse.major=1\n"}) {
    EXPECT_EQ(parse(extension('x', records) + encode_header(kPlain)), TarError::bad_extension) << records;
  }
  EXPECT_EQ(parse(raw_header('x', "none", 0)), TarError::bad_extension);
}

TEST(Tar, ExtensionsAndPathsHaveLimits) {
  const auto long_name = [](std::size_t length) {
    return extension('L', std::string(length, 'n')) + encode_header(kPlain);
  };
  EXPECT_EQ(parse(long_name(kMaxPath)), TarError::none);
  EXPECT_EQ(parse(long_name(kMaxPath + 1)), TarError::bad_path);
  EXPECT_EQ(parse(long_name(kMaxExtension)), TarError::bad_path);
  EXPECT_EQ(parse(long_name(kMaxExtension + 1)), TarError::bad_extension);
  EXPECT_EQ(parse(extension('x', "9 path=\0\n" + std::string()) + encode_header(kPlain)), TarError::bad_extension);
  EXPECT_EQ(parse(raw_header('1', "link without target", 0)), TarError::bad_path);
}

TEST(Tar, StopsForASinkThatWantsNoMore) {
  class Full final : public TarSink {
    bool on_entry(const Entry&) override { return false; }
    bool on_content(ByteView) override { return true; }
    bool on_entry_end() override { return true; }
  } full;
  TarParser parser(full);
  EXPECT_FALSE(parser.feed(bytes_of_text(sample_archive())));
  EXPECT_FALSE(parser.feed(bytes_of_text(sample_archive())));
  EXPECT_FALSE(parser.finish());
  EXPECT_EQ(parser.error(), TarError::none);
}

}  // namespace
}  // namespace microagent::archive
