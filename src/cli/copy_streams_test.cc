// Both ends of a copy without a guest between them, and guests that do not play fair.

#include "cli/copy_streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace microagent::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using wire::FrameType;

class CopyTest : public testing::Test {
 protected:
  CopyTest() {
    std::string pattern = testing::TempDir() + "copy-XXXXXX";
    top_ = ::mkdtemp(pattern.data());
  }
  ~CopyTest() override { fs::remove_all(top_); }

  fs::path file(const fs::path& name, const std::string& content, mode_t mode = 0644) {
    const fs::path path = top_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  static std::string content(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }

  // The whole stream that a put of `path` sends, read in portions of `step`.
  static std::string packed(const fs::path& path, std::size_t step = 1000) {
    auto packer = archive::Packer::open(path.string(), {}, [](const std::string&) {});
    EXPECT_TRUE(packer) << packer.error().message;
    PackSource source(std::move(*packer));
    std::string stream;
    std::vector<std::uint8_t> room(step);
    for (;;) {
      const auto count = source.read(room);
      EXPECT_TRUE(count && *count);
      if (!count || !*count || **count == 0) return stream;
      stream.append(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(**count));
    }
  }
  // Takes a stream as a get would; what went wrong, if anything.
  Status unpack(const std::string& stream, const fs::path& destination, bool special_modes = false) {
    archive::Unpacker unpacker(destination.string(), {.keep_owner = false, .special_modes = special_modes});
    GetSink sink(unpacker);
    for (std::size_t at = 0; at < stream.size(); at += 777) {
      const std::string_view part = std::string_view(stream).substr(at, 777);
      const auto taken =
          sink.take(FrameType::output, {reinterpret_cast<const std::uint8_t*>(part.data()), part.size()});
      if (!taken) return fail(taken.error());
    }
    return unpacker.finish();
  }
  static std::string entry(archive::Entry entry, const std::string& content = {}) {
    entry.size = content.size();
    return archive::encode_header(entry) + content + std::string(archive::padding_of(content.size()), '\0');
  }

  fs::path top_;
};

TEST_F(CopyTest, ATreeComesBackAsItWas) {
  file("tree/a", "one");
  file("tree/sub/tool", "#!/bin/sh\n", 0755);
  file("tree/sub/large", std::string(300'000, 'x'), 0600);
  fs::create_symlink("../a", top_ / "tree/sub/link");
  ASSERT_TRUE(unpack(packed(top_ / "tree"), top_ / "copy"));
  EXPECT_EQ(content(top_ / "copy/a"), "one");
  EXPECT_EQ(mode_of(top_ / "copy/sub/tool"), 0755U);
  EXPECT_EQ(content(top_ / "copy/sub/large"), std::string(300'000, 'x'));
  EXPECT_EQ(mode_of(top_ / "copy/sub/large"), 0600U);
  EXPECT_EQ(fs::read_symlink(top_ / "copy/sub/link"), "../a");
}

TEST_F(CopyTest, TheStreamIsTheSameHoweverItIsRead) {
  file("tree/a", std::string(5000, 'a'));
  const std::string whole = packed(top_ / "tree", 64 * 1024);
  EXPECT_EQ(packed(top_ / "tree", 1), whole);
  EXPECT_EQ(packed(top_ / "tree", 513), whole);
}

// GHSA-4vq3: a guest that makes a link and then writes through it.
TEST_F(CopyTest, AGuestsLinkLeadsNowhere) {
  file("outside/secret", "untouched");
  fs::create_directory(top_ / "copy");
  for (const std::string& target : {(top_ / "outside").string(), std::string("../outside")}) {
    const Status done =
        unpack(entry({.path = "link", .type = archive::EntryType::symlink, .mode = 0777, .link = target}) +
                   entry({.path = "link/secret", .mode = 0644}, "overwritten") + archive::encode_end(),
               top_ / "copy");
    EXPECT_FALSE(done) << target;
    EXPECT_EQ(content(top_ / "outside/secret"), "untouched");
    EXPECT_EQ(std::distance(fs::directory_iterator(top_ / "outside"), {}), 1);
    fs::remove_all(top_ / "copy/link");
  }
}

TEST_F(CopyTest, NamesLeadNowhereElseEither) {
  file("outside/secret", "untouched");
  fs::create_directory(top_ / "copy");
  for (const char* path : {"../outside/secret", "a/../../outside/secret", "/outside/secret"}) {
    (void)unpack(entry({.path = path, .mode = 0644}, "overwritten") + archive::encode_end(), top_ / "copy");
    EXPECT_EQ(content(top_ / "outside/secret"), "untouched") << path;
    EXPECT_FALSE(fs::exists("/outside")) << path;
  }
  EXPECT_FALSE(unpack(entry({.path = "hard", .type = archive::EntryType::hardlink, .link = "../outside/secret"}) +
                          archive::encode_end(),
                      top_ / "copy"));
  EXPECT_EQ(fs::hard_link_count(top_ / "outside/secret"), 1U);
}

TEST_F(CopyTest, SpecialModesComeOnlyWhenAskedFor) {
  fs::create_directory(top_ / "copy");
  const std::string stream = entry({.path = "tool", .mode = 06755}, "x") + archive::encode_end();
  ASSERT_TRUE(unpack(stream, top_ / "copy"));
  EXPECT_EQ(mode_of(top_ / "copy/tool"), 0755U);
  ASSERT_TRUE(unpack(stream, top_ / "copy", true));
  EXPECT_EQ(mode_of(top_ / "copy/tool"), 06755U);
}

TEST_F(CopyTest, DevicesAreRefused) {
  fs::create_directory(top_ / "copy");
  std::string header = archive::encode_header({.path = "device", .mode = 0666});
  header[156] = '3';  // typeflag: a character device; the checksum follows
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  std::array<char, 8> digits{};
  std::snprintf(digits.data(), digits.size(), "%06o", sum);
  header.replace(148, 8, std::string(digits.data(), 7) + ' ');
  EXPECT_FALSE(unpack(header + archive::encode_end(), top_ / "copy"));
  EXPECT_TRUE(fs::is_empty(top_ / "copy"));
}

TEST_F(CopyTest, AStreamThatIsCutIsAnError) {
  file("tree/a", std::string(5000, 'a'));
  const std::string whole = packed(top_ / "tree");
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{600}, whole.size() - 1025}) {
    EXPECT_FALSE(unpack(whole.substr(0, size), top_ / ("copy" + std::to_string(size)))) << size;
  }
}

TEST_F(CopyTest, ComplaintsAreKeptUpToALimit) {
  PutSink sink;
  const std::vector<std::uint8_t> words(10'000, 'w');
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sink.take(FrameType::error_output, words).value(), words.size());
  EXPECT_EQ(sink.complaints().text().size(), 16U * 1024);
}

}  // namespace
}  // namespace microagent::cli
