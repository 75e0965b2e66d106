#include "image/ext4_writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "image/layer_reader.h"
#include "image/testing/images.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Ext4Writer : public testing::TestWithParam<Compression> {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  Status build(const std::vector<std::vector<TestFile>>& layers, Compression compression = Compression::none) {
    std::vector<fs::path> files;
    FileTree tree;
    for (const auto& layer : layers) {
      files.push_back(directory_ / fmt::format("layer{}", files.size()));
      write_layer(files.back(), layer, compression);
      tree.begin_layer();
      const auto add = [&](LayerEntry entry) { return tree.add(std::move(entry)); };
      const Status read = read_layer(files.back(), static_cast<unsigned>(files.size() - 1), add);
      if (!read) return read;
    }
    if (Status made = make_ext4(image_, ext4_size_of(tree), tree.files()); !made) return made;
    return fill_ext4(image_, tree, files);
  }

  std::string debugfs(const std::string& request) const {
    return output_of(fmt::format("PATH=$PATH:/sbin:/usr/sbin debugfs -R '{}' {}", request, image_.string()));
  }
  std::string check() const {
    return output_of(fmt::format("PATH=$PATH:/sbin:/usr/sbin e2fsck -fn {} && echo CLEAN", image_.string()));
  }

  const fs::path directory_ = fs::path(testing::TempDir()) / ("ext4_writer_test." + std::to_string(::getpid()));
  const fs::path image_ = directory_ / "image";
};

TestFile file(std::string path, std::string content, Inode inode = {.mode = 0644}) {
  inode.type = FileType::file;
  return {{std::move(path), std::move(inode), std::nullopt}, std::move(content)};
}
TestFile special(std::string path, Inode inode) { return {{std::move(path), std::move(inode), std::nullopt}}; }

TEST_P(Ext4Writer, WritesWhatTheLayersSay) {
  const std::string content(3'000'000, 'x');
  const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  ASSERT_TRUE(build(
      {{special("dir", {.type = FileType::directory, .mode = 02775, .uid = 70'000, .gid = 100, .mtime = 1'000'000'000}),
        file("dir/big", content, {.mode = 04755, .uid = 1, .gid = 2, .mtime = 5}), file("dir/gone", "gone"),
        file("n\xc3\xa4me \"x\"", "name"), file("empty", "")},
       {file("dir/.wh.gone", ""),
        {{"dir/hard", {}, "dir/big"}, {}},
        special("link", {.type = FileType::symlink, .mode = 0777, .target = "dir/big"}),
        special("longlink", {.type = FileType::symlink, .mode = 0777, .target = std::string(300, 'l')}),
        special("null", {.type = FileType::character_device, .mode = 0666, .major = 1, .minor = 3}),
        special("wide", {.type = FileType::block_device, .mode = 0600, .major = 259, .minor = 70'000}),
        special("pipe", {.type = FileType::fifo, .mode = 0600}),
        file("ping", "ping",
             {.mode = 0755, .attributes = {{"security.capability", capability}, {"user.note", "hi"}}})}},
      GetParam()));
  EXPECT_THAT(check(), HasSubstr("CLEAN"));

  const std::string dir = debugfs("stat /dir");
  EXPECT_THAT(dir, HasSubstr("Mode:  02775"));
  EXPECT_THAT(dir, HasSubstr("User: 70000   Group:   100"));
  EXPECT_THAT(dir, HasSubstr("mtime: 0x3b9aca00"));
  const std::string big = debugfs("stat /dir/big");
  EXPECT_THAT(big, HasSubstr("Mode:  04755"));
  EXPECT_THAT(big, HasSubstr("Links: 2"));
  EXPECT_THAT(big, HasSubstr("Size: 3000000"));
  EXPECT_EQ(debugfs("stat /dir/hard"), big);
  EXPECT_THAT(debugfs("stat /dir/gone"), HasSubstr("not found"));
  EXPECT_THAT(debugfs("cat /dir/big"), HasSubstr(content));
  EXPECT_THAT(debugfs("stat /link"), HasSubstr("Fast link dest: \"dir/big\""));
  EXPECT_THAT(debugfs("stat /longlink"), HasSubstr("Size: 300"));
  EXPECT_THAT(debugfs("stat /null"), HasSubstr("Device major/minor number: 01:03"));
  EXPECT_THAT(debugfs("stat /wide"), HasSubstr("(hex 103:11170)"));
  EXPECT_THAT(debugfs("stat /pipe"), HasSubstr("Type: FIFO"));
  EXPECT_THAT(debugfs("ea_get -x /ping security.capability"), HasSubstr("(20) = 01 00 00 02 00 20 00 00"));
  EXPECT_THAT(debugfs("ea_get /ping user.note"), HasSubstr("hi"));
  EXPECT_THAT(debugfs("ls -p /"), HasSubstr("/n\xc3\xa4me \"x\"/"));
}
INSTANTIATE_TEST_SUITE_P(Compressions, Ext4Writer,
                         testing::Values(Compression::none, Compression::gzip, Compression::zstd));

TEST_F(Ext4Writer, FillsDirectoriesOfAnySize) {
  std::vector<TestFile> files;
  for (int i = 0; i < 1500; ++i) files.push_back(file(fmt::format("d/a-rather-long-name-of-a-file-{}", i), "x"));
  ASSERT_TRUE(build({files}));
  EXPECT_THAT(check(), HasSubstr("CLEAN"));
  EXPECT_THAT(debugfs("cat /d/a-rather-long-name-of-a-file-1499"), HasSubstr("x"));
}

TEST_F(Ext4Writer, WritesAnEmptyImage) {
  ASSERT_TRUE(build({{}}));
  EXPECT_THAT(check(), HasSubstr("CLEAN"));
  EXPECT_THAT(debugfs("stat /"), HasSubstr("Mode:  0755"));
}

TEST_F(Ext4Writer, TellsADamagedLayer) {
  const fs::path layer = directory_ / "layer";
  write_layer(layer, {file("a", std::string(100'000, 'a'))}, Compression::gzip);
  fs::resize_file(layer, fs::file_size(layer) - 20);
  const Status read = read_layer(layer, 0, [](LayerEntry) { return Status(); });
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("layer"));
  std::filesystem::resize_file(layer, 10);
  EXPECT_FALSE(read_layer(layer, 0, [](LayerEntry) { return Status(); }));
}

// mke2fs makes a directory of this name, and the image's own entry must not become a second one.
TEST_F(Ext4Writer, PutsAnyKindOfFileInThePlaceOfLostAndFound) {
  const std::vector<TestFile> kinds{file("lost+found", "found"),
                                    special("lost+found", {.type = FileType::symlink, .mode = 0777, .target = "etc"}),
                                    special("lost+found", {.type = FileType::fifo, .mode = 0600}),
                                    special("lost+found", {.type = FileType::directory, .mode = 0711})};
  for (const TestFile& kind : kinds) {
    ASSERT_TRUE(build({{kind, file("other", "other")}}));
    EXPECT_THAT(check(), HasSubstr("CLEAN"));
    const std::string names = debugfs("ls -p /");
    EXPECT_EQ(names.find("lost+found"), names.rfind("lost+found")) << names;
    fs::remove(image_);
  }
}

// What a header says costs nobody anything, so that it is not believed beyond a bound.
TEST_F(Ext4Writer, RefusesSizesThatAreOutOfBounds) {
  const fs::path layer = directory_ / "layer";
  for (const int names : {1, 2, 3, 4, 5}) {
    FileTree tree;
    tree.begin_layer();
    for (int i = 0; i < names; ++i) {
      ASSERT_TRUE(tree.add({fmt::format("f{}", i), {.mode = 0644, .size = INT64_MAX}, std::nullopt}));
    }
    const Status made = make_ext4(image_, ext4_size_of(tree), tree.files());
    ASSERT_FALSE(made) << names;
    EXPECT_EQ(made.error().kind, ErrorKind::unsupported);
    EXPECT_FALSE(fs::exists(image_));
  }
}

// As busybox has them: one program under some hundred names.
TEST_F(Ext4Writer, AFileOfManyNamesTakesItsRoomOnce) {
  const std::string content(2 * 1024 * 1024, 'b');
  std::vector<TestFile> files{file("bin/busybox", content)};
  for (int i = 0; i < 400; ++i) files.push_back({{fmt::format("bin/a{}", i), {}, "bin/busybox"}, {}});
  ASSERT_TRUE(build({files}));
  EXPECT_THAT(check(), HasSubstr("CLEAN"));
  EXPECT_EQ(fs::file_size(image_), 256U * 1024 * 1024) << "no more than the least that one has";
}

TEST_F(Ext4Writer, RefusesAttributesThatExt4CannotHold) {
  const Status built =
      build({{file("a", "a", {.mode = 0644, .attributes = {{"user.big", std::string(60'000, 'v')}}})}});
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(built.error().message, HasSubstr(" a "));

  // Nor many that are small.
  Inode many{.mode = 0644};
  for (int i = 0; i < 60; ++i) many.attributes.push_back({fmt::format("user.n{}", i), std::string(100, 'v')});
  fs::remove(image_);
  EXPECT_EQ(build({{file("a", "a", many)}}).error().kind, ErrorKind::unsupported);
}

}  // namespace
}  // namespace microagent::image
