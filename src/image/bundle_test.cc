#include "image/bundle.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "image/ext4_writer.h"
#include "image/layer_reader.h"
#include "image/testing/images.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr FileType kDirectory = FileType::directory;

TestFile file(std::string path, std::string content, Inode inode = {.mode = 0644}) {
  return {{std::move(path), std::move(inode), std::nullopt}, std::move(content)};
}
TestFile special(std::string path, Inode inode) { return {{std::move(path), std::move(inode), std::nullopt}}; }
TestFile link_to(std::string path, std::string target) {
  return special(std::move(path), {.type = FileType::symlink, .mode = 0777, .target = std::move(target)});
}

class BundleTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(directory_);
    write_layer(layer_, {special("srv", {.type = kDirectory, .mode = 0750, .uid = 7}),
                         file("srv/kept", "kept"),
                         file("srv/old", std::string(100'000, 'o')),
                         file("srv/twin", "twin"),
                         {{"srv/other-twin", {}, "srv/twin"}, {}},
                         special("usr/bin", {.type = kDirectory, .mode = 0755}),
                         link_to("bin", "usr/bin"),
                         link_to("srv/out", "../usr"),
                         link_to("srv/nowhere", "/none"),
                         link_to("srv/here", "deep"),
                         special("srv/deep", {.type = kDirectory, .mode = 0755})});
    FileTree tree;
    tree.begin_layer();
    ASSERT_TRUE(read_layer(layer_, 0, [&](LayerEntry entry) { return tree.add(std::move(entry)); }));
    ASSERT_TRUE(make_ext4(base_, ext4_size_of(tree), tree.files()));
    ASSERT_TRUE(fill_ext4(base_, tree, {layer_}));
    ASSERT_EQ(::chmod(base_.c_str(), 0400), 0);
  }
  void TearDown() override { fs::remove_all(directory_); }

  Status bundle(const std::vector<TestFile>& files, const std::string& path = "/",
                Compression compression = Compression::none) {
    fs::remove(made_);
    write_layer(tar_, files, compression);
    const auto bundles = read_bundles({{tar_.string(), path}});
    if (!bundles) return fail(bundles.error());
    return make_bundled_base(base_, *bundles, made_);
  }
  Status reading(const fs::path& path) {
    const auto bundles = read_bundles({{path.string(), "/"}});
    return bundles ? Status() : fail(bundles.error());
  }
  std::string debugfs(const std::string& request) const {
    return output_of(fmt::format("PATH=$PATH:/sbin:/usr/sbin debugfs -R '{}' {}", request, made_.string()));
  }
  std::string check() const {
    return output_of(fmt::format("PATH=$PATH:/sbin:/usr/sbin e2fsck -fn {} && echo CLEAN", made_.string()));
  }

  const fs::path directory_ = fs::path(testing::TempDir()) / ("bundle_test." + std::to_string(::getpid()));
  const fs::path layer_ = directory_ / "layer", base_ = directory_ / "base", made_ = directory_ / "made",
                 tar_ = directory_ / "app.tar";
};

TEST_F(BundleTest, KeepsWhatTheArchiveSays) {
  const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    ASSERT_TRUE(
        bundle({special("app", {.type = kDirectory, .mode = 02775, .uid = 70'000, .gid = 100, .mtime = 1'000'000'000}),
                file("app/tool", std::string(3'000'000, 't'), {.mode = 04755, .uid = 1, .gid = 2}),
                {{"app/hard", {}, "app/tool"}, {}},
                link_to("app/link", "tool"),
                file("app/.wh.name", "no whiteout"),
                special("app/null", {.type = FileType::character_device, .mode = 0666, .major = 1, .minor = 3}),
                file("app/ping", "ping",
                     {.mode = 0755, .attributes = {{"security.capability", capability}, {"user.note", "hi"}}})},
               "/srv/new/place", compression));
    EXPECT_THAT(check(), HasSubstr("CLEAN"));
    EXPECT_THAT(debugfs("stat /srv/new/place/app"), HasSubstr("User: 70000   Group:   100"));
    const std::string tool = debugfs("stat /srv/new/place/app/tool");
    EXPECT_THAT(tool, HasSubstr("Mode:  04755"));
    EXPECT_THAT(tool, HasSubstr("Links: 2"));
    EXPECT_EQ(debugfs("stat /srv/new/place/app/hard"), tool);
    EXPECT_THAT(debugfs("cat /srv/new/place/app/tool"), HasSubstr(std::string(3'000'000, 't')));
    EXPECT_THAT(debugfs("stat /srv/new/place/app/link"), HasSubstr("Fast link dest: \"tool\""));
    EXPECT_THAT(debugfs("cat /srv/new/place/app/.wh.name"), HasSubstr("no whiteout"));
    EXPECT_THAT(debugfs("stat /srv/new/place/app/null"), HasSubstr("Device major/minor number: 01:03"));
    EXPECT_THAT(debugfs("ea_get -x /srv/new/place/app/ping security.capability"), HasSubstr("(20) = 01 00 00 02"));
    EXPECT_THAT(debugfs("stat /srv/new"), HasSubstr("User:     0"));
  }
}

TEST_F(BundleTest, FillsWhatTheImageHas) {
  ASSERT_TRUE(bundle({special(".", {.type = kDirectory, .mode = 0700, .uid = 1000}),
                      special("srv", {.type = kDirectory, .mode = 0700, .uid = 1000}), file("srv/old", "new"),
                      file("srv/twin", "changed"), file("bin/tool", "tool"), file("srv/here/below", "below")}));
  EXPECT_THAT(check(), HasSubstr("CLEAN"));
  EXPECT_THAT(debugfs("stat /"), HasSubstr("User:     0")) << "the image's directories stay as they are";
  EXPECT_THAT(debugfs("stat /srv"), HasSubstr("Mode:  0750"));
  EXPECT_THAT(debugfs("cat /srv/kept"), HasSubstr("kept"));
  EXPECT_THAT(debugfs("cat /srv/old"), HasSubstr("new"));
  EXPECT_THAT(debugfs("stat /srv/old"), HasSubstr("Size: 3"));
  EXPECT_THAT(debugfs("cat /srv/twin"), HasSubstr("changed"));
  EXPECT_THAT(debugfs("cat /srv/other-twin"), HasSubstr("twin")) << "what has another name keeps it";
  EXPECT_THAT(debugfs("stat /srv/other-twin"), HasSubstr("Links: 1"));
  EXPECT_THAT(debugfs("stat /bin"), HasSubstr("Type: symlink"));
  EXPECT_THAT(debugfs("cat /usr/bin/tool"), HasSubstr("tool"));
  EXPECT_THAT(debugfs("cat /srv/deep/below"), HasSubstr("below"));
  struct stat facts {};
  ASSERT_EQ(::stat(made_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0400U);
}

TEST_F(BundleTest, LeavesItsDirectoryNowhere) {
  EXPECT_THAT(bundle({file("../x", "x")}, "/srv").error().message, HasSubstr("leads out"));
  EXPECT_THAT(bundle({{{"x", {}, "../../usr/bin"}, {}}}, "/srv").error().message, HasSubstr("leads out"));
  EXPECT_THAT(bundle({file("out/x", "x")}, "/srv").error().message, HasSubstr("/srv/out is a link in the image"));
  EXPECT_FALSE(fs::exists(made_)) << "nothing half-made stays";
  // What a link of the bundle's own leads out is not put elsewhere without a word.
  for (const char* target : {"/usr", "../usr", "..", "deep/../../usr", "/srv/usr"}) {
    const Status made = bundle({link_to("l", target), file("l/x", "x")}, "/srv");
    ASSERT_FALSE(made) << target;
    EXPECT_THAT(made.error().message, HasSubstr(fmt::format("symbolic link l leads out of it, to {}", target)));
    EXPECT_FALSE(bundle({link_to("l", target), file("usr/x", "x"), {{"h", {}, "l/x"}, {}}}, "/srv")) << target;
  }
}

TEST_F(BundleTest, FollowsItsOwnLinksWithinItsDirectory) {
  ASSERT_TRUE(bundle({link_to("l", "deep/../usr"), file("l/x", "x"), link_to("out", "/etc")}, "/srv/new"));
  EXPECT_THAT(debugfs("cat /srv/new/usr/x"), HasSubstr("x"));
  EXPECT_THAT(debugfs("stat /srv/new/out"), HasSubstr("Fast link dest: \"/etc\"")) << "a link is free to be one";
  // In the guest's root these are no ways out.
  ASSERT_TRUE(bundle({link_to("l", "/usr"), file("l/x", "x"), link_to("m", "../../.."), file("m/y", "y")}, "/"));
  EXPECT_THAT(check(), HasSubstr("CLEAN"));
  EXPECT_THAT(debugfs("cat /usr/x"), HasSubstr("x"));
  EXPECT_THAT(debugfs("cat /y"), HasSubstr("y"));
}

TEST_F(BundleTest, TellsWhatCollides) {
  const auto why = [&](const std::vector<TestFile>& files) {
    const Status made = bundle(files);
    return made ? std::string("none") : made.error().message;
  };
  EXPECT_THAT(why({file("srv", "x")}), HasSubstr("/srv is a directory in the image"));
  EXPECT_THAT(why({file("srv/kept/x", "x")}), HasSubstr("/srv/kept is no directory in the image"));
  EXPECT_THAT(why({file("srv/nowhere/x", "x")}), HasSubstr("leads nowhere"));
  EXPECT_THAT(why({file("bin/x", "1"), file("usr/bin/x", "2")}), HasSubstr("twice"));
  EXPECT_THAT(why({link_to("srv/deep/l", "/srv"), file("srv/here/l/x", "x")}),
              HasSubstr("both a link and a directory"));
}

TEST_F(BundleTest, HasRoomForManyFiles) {
  std::vector<TestFile> files;
  for (int i = 0; i < 60'000; ++i) files.push_back(file(fmt::format("d{}/f{}", i / 1000, i), "x"));
  files.push_back(file("large", std::string(200'000'000, 'l')));
  ASSERT_TRUE(bundle(files));
  EXPECT_THAT(check(), HasSubstr("CLEAN"));
  EXPECT_THAT(debugfs("cat /d59/f59999"), HasSubstr("x"));
}

TEST_F(BundleTest, IsAWholeTarArchive) {
  EXPECT_EQ(reading(directory_ / "none").error().kind, ErrorKind::not_found);
  EXPECT_THAT(reading(directory_).error().message, HasSubstr("no regular file"));
  std::ofstream(tar_) << "no archive at all, but some text that is longer than nothing";
  EXPECT_THAT(reading(tar_).error().remediation, HasSubstr("tar"));
  std::ofstream(tar_, std::ios::trunc) << "";
  EXPECT_THAT(reading(tar_).error().message, HasSubstr("is empty"));
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    write_layer(tar_, {file("a", std::string(200'000, 'a')), file("b", "b")}, compression);
    fs::resize_file(tar_, fs::file_size(tar_) / 2);
    const Status cut = reading(tar_);
    ASSERT_FALSE(cut);
    EXPECT_THAT(cut.error().message, HasSubstr("app.tar cannot be read"));
  }
}

// Wherever it is cut, and whether before or after it was compressed.
TEST_F(BundleTest, IsNotCutAnywhere) {
  constexpr std::size_t kBlock = 512;
  write_layer(tar_, {file("a", std::string(700, 'a')), file(std::string(120, 'n'), "b"), file("c", "")});
  std::ifstream in(tar_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const std::size_t end = whole.find_last_not_of('\0') / kBlock * kBlock + kBlock;  // of the last header
  for (const std::string packer : {"cat", "gzip", "zstd"}) {
    const auto read_cut = [&](std::size_t size) {
      std::ofstream(directory_ / "cut", std::ios::binary) << whole.substr(0, size);
      output_of(fmt::format("{0} <{1}/cut >{1}/packed", packer, directory_.string()));
      return reading(directory_ / "packed");
    };
    const std::size_t step = packer == "cat" ? 100 : kBlock;
    for (std::size_t size = step; size <= end; size += step) EXPECT_FALSE(read_cut(size)) << packer << size;
    EXPECT_FALSE(read_cut(end)) << packer;
    EXPECT_TRUE(read_cut(end + kBlock)) << packer << ": one block is an end";
    EXPECT_TRUE(read_cut(whole.size())) << packer;
  }
}

// What a header says is not believed beyond a bound.
TEST_F(BundleTest, HasABound) {
  std::vector<Bundle> bundles(1);
  bundles[0].path = "/";
  ASSERT_TRUE(bundles[0].tree.add({"huge", {.mode = 0644, .size = INT64_MAX}, std::nullopt}));
  EXPECT_EQ(make_bundled_base(base_, bundles, made_).error().kind, ErrorKind::unsupported);
  EXPECT_FALSE(fs::exists(made_));
}

}  // namespace
}  // namespace microagent::image
