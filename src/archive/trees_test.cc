// Packing and unpacking whole trees, honest and hostile ones.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "archive/pack.h"
#include "archive/paths.h"
#include "archive/unpack.h"

namespace microagent::archive {
namespace {

namespace fs = std::filesystem;

class Trees : public testing::Test {
 protected:
  Trees() {
    std::string pattern = testing::TempDir() + "treesXXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~Trees() override {
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(root_, ignored)) {
      if (entry.is_directory() && !entry.is_symlink()) fs::permissions(entry.path(), fs::perms::owner_all, ignored);
    }
    fs::remove_all(root_, ignored);
  }

  fs::path make_file(const fs::path& name, std::string_view content, unsigned mode = 0644) {
    const fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
    ::chmod(path.c_str(), mode);
    return path;
  }

  static std::string content_of(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static unsigned mode_of(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }

  std::string pack(const fs::path& path, const PackOptions& options = {}) {
    auto packer = Packer::open(path.string(), options, [this](const std::string& text) { warnings_.push_back(text); });
    if (!packer) return "error: " + packer.error().message;
    std::string archive;
    for (;;) {
      const auto bytes = packer->next();
      if (!bytes) return "error: " + bytes.error().message;
      if (bytes->empty()) return archive;
      archive.append(bytes->begin(), bytes->end());
    }
  }

  // Empty when it went well.
  static std::string unpack(std::string_view archive, const fs::path& destination, const UnpackOptions& options = {},
                            std::size_t step = 1000) {
    Unpacker unpacker(destination.string(), options);
    for (std::size_t at = 0; at < archive.size(); at += step) {
      const std::string_view piece = archive.substr(at, step);
      const Status fed = unpacker.feed({reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()});
      if (!fed) return fed.error().message;
    }
    const Status finished = unpacker.finish();
    return finished ? "" : finished.error().message;
  }

  static std::string entry(const std::string& path, EntryType type, const std::string& link_or_content = {}) {
    const bool is_file = type == EntryType::file;
    const std::size_t size = is_file ? link_or_content.size() : 0;
    std::string text = encode_header({path, type, 0755, 0, 0, 1'700'000'000, size, is_file ? "" : link_or_content});
    if (is_file) text += link_or_content + std::string(padding_of(size), '\0');
    return text;
  }

  fs::path root_;
  std::vector<std::string> warnings_;
};

TEST_F(Trees, KeepTheirShape) {
  const std::string big(200'000, 'b');
  make_file("src/a", "alpha", 0640);
  make_file("src/deep/er/b", big, 0755);
  make_file("src/empty", "");
  fs::create_directory(root_ / "src/locked");
  fs::create_symlink("../nowhere", root_ / "src/link");
  ::mkfifo((root_ / "src/pipe").c_str(), 0600);
  ::chmod((root_ / "src/locked").c_str(), 0555);
  const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  ::utimensat(AT_FDCWD, (root_ / "src/deep").c_str(), times, 0);
  ::utimensat(AT_FDCWD, (root_ / "src/link").c_str(), times, AT_SYMLINK_NOFOLLOW);

  ASSERT_EQ(unpack(pack(root_ / "src"), root_ / "copy"), "");
  EXPECT_EQ(content_of(root_ / "copy/a"), "alpha");
  EXPECT_EQ(mode_of(root_ / "copy/a"), 0640U);
  EXPECT_EQ(content_of(root_ / "copy/deep/er/b"), big);
  EXPECT_EQ(mode_of(root_ / "copy/deep/er/b"), 0755U);
  EXPECT_TRUE(fs::exists(root_ / "copy/empty"));
  EXPECT_EQ(mode_of(root_ / "copy/locked"), 0555U);
  EXPECT_EQ(fs::read_symlink(root_ / "copy/link"), "../nowhere");
  EXPECT_TRUE(fs::is_fifo(root_ / "copy/pipe"));
  struct stat status {};
  ASSERT_EQ(::stat((root_ / "copy/deep").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 1'600'000'000);
  ASSERT_EQ(::lstat((root_ / "copy/link").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 1'600'000'000);
  EXPECT_THAT(warnings_, testing::IsEmpty());
}

TEST_F(Trees, AreReadByTheOtherTar) {
  make_file("src/" + std::string(150, 'n'), "long", 0600);
  make_file("src/sub/x", "short");
  std::ofstream(root_ / "a.tar") << pack(root_ / "src");
  const std::string command = "cd " + root_.string() + " && mkdir out && tar xf a.tar -C out && diff -r src out/src";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(Trees, OfTheOtherTarAreRead) {
  make_file("src/" + std::string(150, 'n'), "long", 0600);
  make_file("src/sub/x", "short");
  for (const char* format : {"gnu", "pax", "ustar", "v7"}) {
    const std::string names = std::string(format) == "gnu" || std::string(format) == "pax" ? "src" : "src/sub";
    const std::string out = (root_ / "out").string();
    const std::string tar = "cd " + root_.string() + " && rm -rf out && tar cf a.tar --format=" + format + " " + names;
    ASSERT_EQ(std::system(tar.c_str()), 0) << format;
    ASSERT_EQ(unpack(content_of(root_ / "a.tar"), root_ / "out"), "") << format;
    const fs::path made = names == "src" ? root_ / "out" : root_ / "out" / "sub";
    const std::string diff = "diff -r " + (root_ / names).string() + " " + made.string();
    EXPECT_EQ(std::system(diff.c_str()), 0) << format;
  }
}

TEST_F(Trees, GoWhereTheDestinationSays) {
  make_file("f", "file");
  make_file("d/x", "inside");
  fs::create_directory(root_ / "there");
  EXPECT_EQ(unpack(pack(root_ / "f"), root_ / "there"), "");
  EXPECT_EQ(content_of(root_ / "there/f"), "file");
  EXPECT_EQ(unpack(pack(root_ / "f"), root_ / "renamed"), "");
  EXPECT_EQ(content_of(root_ / "renamed"), "file");
  EXPECT_EQ(unpack(pack(root_ / "d"), root_ / "there"), "");
  EXPECT_EQ(content_of(root_ / "there/d/x"), "inside");
  EXPECT_EQ(unpack(pack(root_ / "d"), root_ / "new/"), "");
  EXPECT_EQ(content_of(root_ / "new/x"), "inside");
  EXPECT_EQ(unpack(pack(root_ / "d/."), root_ / "there"), "");
  EXPECT_EQ(content_of(root_ / "there/x"), "inside");
  EXPECT_EQ(unpack(pack(root_ / "d/."), root_ / "fresh"), "");
  EXPECT_EQ(content_of(root_ / "fresh/x"), "inside");
  EXPECT_EQ(unpack(pack(root_ / "d"), root_ / "f"), root_.string() + "/f is no directory, so none can be put there");
  EXPECT_EQ(unpack(pack(root_ / "f"), root_ / "none/"), "there is no directory " + root_.string() + "/none/");
  EXPECT_THAT(unpack(pack(root_ / "f"), root_ / "none/f"), testing::HasSubstr("cannot open the directory"));
}

TEST_F(Trees, ReplaceFilesAndFillDirectories) {
  make_file("src/d/new", "new");
  make_file("src/f", "new");
  make_file("dst/src/d/old", "old");
  make_file("dst/src/f", "old", 0400);
  ::chmod((root_ / "dst/src/d").c_str(), 0711);
  EXPECT_EQ(unpack(pack(root_ / "src"), root_ / "dst"), "");
  EXPECT_EQ(content_of(root_ / "dst/src/d/old"), "old");
  EXPECT_EQ(content_of(root_ / "dst/src/d/new"), "new");
  EXPECT_EQ(content_of(root_ / "dst/src/f"), "new");
  EXPECT_EQ(mode_of(root_ / "dst/src/d"), 0711U);  // as it was
  make_file("dst/other/f/x", "a directory in the way");
  EXPECT_THAT(unpack(pack(root_ / "src/f"), root_ / "dst/other"), testing::HasSubstr("cannot replace f"));
}

TEST_F(Trees, LeaveSpecialModesOutUnlessWanted) {
  make_file("f", "x", 06755);
  const std::string archive = pack(root_ / "f");
  EXPECT_EQ(unpack(archive, root_ / "plain"), "");
  EXPECT_EQ(mode_of(root_ / "plain"), 0755U);
  EXPECT_EQ(unpack(archive, root_ / "special", {.special_modes = true}), "");
  EXPECT_EQ(mode_of(root_ / "special"), 06755U);
}

TEST_F(Trees, FollowOnlyTheirOwnRootAndOnlyWhenAsked) {
  make_file("real", "content");
  fs::create_symlink("real", root_ / "link");
  EXPECT_EQ(unpack(pack(root_ / "link"), root_ / "as_link"), "");
  EXPECT_EQ(fs::read_symlink(root_ / "as_link"), "real");
  EXPECT_EQ(unpack(pack(root_ / "link", {.follow = true}), root_ / "as_file"), "");
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(root_ / "as_file")));
  EXPECT_EQ(content_of(root_ / "as_file"), "content");
}

TEST_F(Trees, LeaveSocketsOutWithAWarning) {
  make_file("src/f", "x");
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{AF_UNIX, {}};
  const std::string name = (root_ / "src/s").string();
  ASSERT_LT(name.size(), sizeof address.sun_path);
  name.copy(address.sun_path, name.size());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(unpack(pack(root_ / "src"), root_ / "copy"), "");
  EXPECT_THAT(warnings_, testing::ElementsAre("src/s is a socket or a device, left out"));
  EXPECT_FALSE(fs::exists(root_ / "copy/s"));
}

TEST_F(Trees, KeepHardLinksOfOthers) {
  const std::string archive = entry("d", EntryType::directory) + entry("d/a", EntryType::file, "one") +
                              entry("d/b", EntryType::hardlink, "d/a") + encode_end();
  EXPECT_EQ(unpack(archive, root_ / "renamed"), "");
  EXPECT_EQ(fs::hard_link_count(root_ / "renamed/b"), 2U);
}

TEST_F(Trees, SayWhatIsMissing) {
  EXPECT_THAT(pack(root_ / "none"), testing::HasSubstr("cannot open"));
  EXPECT_THAT(unpack("", root_ / "x"), "the archive is empty");
  EXPECT_THAT(unpack(encode_end(), root_ / "x"), "the archive is empty");
  EXPECT_THAT(unpack(std::string(512, 'x'), root_ / "x"), testing::HasSubstr("a header's checksum is wrong"));
}

TEST_F(Trees, NeverLeaveTheirDestination) {
  const fs::path outside = make_file("outside/secret", "untouched").parent_path();
  const std::string up = "../outside", absolute = outside.string();
  const std::vector<std::string> hostile = {
      entry("../outside/x", EntryType::file, "evil"),
      entry(absolute + "/x", EntryType::file, "evil"),
      entry("d/../../outside/x", EntryType::file, "evil"),
      entry("l", EntryType::symlink, up) + entry("l/x", EntryType::file, "evil"),
      entry("l", EntryType::symlink, absolute) + entry("l/x", EntryType::file, "evil"),
      entry("l", EntryType::symlink, absolute) + entry("l/d", EntryType::directory),
      entry("l", EntryType::symlink, absolute) + entry("l", EntryType::directory) +
          entry("l/x", EntryType::file, "evil"),
      entry("l", EntryType::symlink, absolute) + entry("l/sub/x", EntryType::symlink, "/etc/passwd"),
      entry("h", EntryType::hardlink, "../outside/secret"),
      entry("h", EntryType::hardlink, absolute + "/secret"),
      entry("l", EntryType::symlink, absolute + "/secret") + entry("h", EntryType::hardlink, "l"),
      entry("l", EntryType::symlink, "/proc/self/root") + entry("l" + absolute + "/x", EntryType::file, "evil"),
  };
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    const fs::path destination = root_ / ("dst" + std::to_string(i));
    fs::create_directory(destination);
    EXPECT_NE(unpack(hostile[i] + encode_end(), destination), "") << i;
    EXPECT_EQ(std::distance(fs::directory_iterator(outside), {}), 1) << i;
    EXPECT_EQ(content_of(outside / "secret"), "untouched") << i;
    EXPECT_EQ(fs::hard_link_count(outside / "secret"), 1U) << i;
  }
}

// A link in the way of a file is replaced, not written through; GHSA-4vq3 was that.
// CVE-2019-6111 of scp: who sends must not choose what is written in a directory that is there already.
TEST_F(Trees, HoldOnlyWhatWasAskedFor) {
  const std::string wanted = entry("notes", EntryType::directory) + entry("notes/a", EntryType::file, "a");
  const auto lies = {entry(".bashrc", EntryType::file, "evil"),
                     entry("./.bashrc", EntryType::file, "evil"),
                     entry(".", EntryType::directory) + entry(".bashrc", EntryType::file, "evil"),
                     wanted + entry(".bashrc", EntryType::file, "evil"),
                     wanted + entry("notes/./../.bashrc", EntryType::file, "evil"),
                     wanted + entry("./notes", EntryType::directory) + entry(".", EntryType::directory),
                     entry("notes", EntryType::hardlink, "mine")};
  for (const std::string& lie : lies) {
    make_file("home/mine", "mine");
    EXPECT_NE(unpack(lie + encode_end(), root_ / "home", {.root = "notes"}), "");
    EXPECT_FALSE(fs::exists(root_ / "home/.bashrc"));
    EXPECT_EQ(content_of(root_ / "home/mine"), "mine");
    EXPECT_EQ(fs::hard_link_count(root_ / "home/mine"), 1U);
    fs::remove_all(root_ / "home");
  }
  make_file("home/mine", "mine");
  EXPECT_EQ(unpack(wanted + encode_end(), root_ / "home", {.root = "notes"}), "");
  EXPECT_EQ(content_of(root_ / "home/notes/a"), "a");
  EXPECT_NE(unpack(wanted + encode_end(), root_ / "home", {.root = "."}), "") << "a name where none was asked for";
  EXPECT_EQ(unpack(pack(root_ / "home/notes/."), root_ / "home", {.root = "."}), "");
  EXPECT_EQ(content_of(root_ / "home/a"), "a");
}

// Nor by way of what the stream itself made below the name that was asked for: a link may stay below the destination
// and yet lead to what lies beside that name.
TEST_F(Trees, GoThroughNoLinkWhereTheSenderIsNotTrusted) {
  const std::string root = entry("srv", EntryType::directory), link = entry("srv/l", EntryType::symlink, "../.ssh");
  const std::string nested = entry("srv/a", EntryType::directory) + entry("srv/a/l", EntryType::symlink, "../../.ssh");
  const std::vector<std::string> lies = {
      root + link + entry("srv/l/keys", EntryType::file, "evil"),
      root + link + entry("srv/l/new", EntryType::file, "evil"),
      root + link + entry("srv/l/d/new", EntryType::file, "evil"),
      root + link + entry("srv/l/d", EntryType::directory),
      root + link + entry("srv/l/p", EntryType::fifo),
      root + link + entry("srv/l", EntryType::directory) + entry("srv/l/keys", EntryType::file, "evil"),
      root + link + entry("srv/k", EntryType::hardlink, "srv/l/keys"),
      root + nested + entry("srv/a/l/keys", EntryType::file, "evil"),
      entry("srv", EntryType::symlink, ".ssh") + entry("srv/keys", EntryType::file, "evil"),
      entry("srv", EntryType::symlink, ".ssh") + entry("srv/keys", EntryType::symlink, "/dev/null"),
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    // Into a directory that is there, and under a new name in one.
    for (const std::string destination : {"", "renamed"}) {
      const fs::path keys = make_file("home/.ssh/keys", "mine");
      ::chmod((root_ / "home/.ssh").c_str(), 0700);
      EXPECT_NE(unpack(lies[i] + encode_end(), root_ / "home" / destination, {.root = "srv"}), "") << i << destination;
      EXPECT_EQ(content_of(keys), "mine") << i << destination;
      EXPECT_EQ(fs::hard_link_count(keys), 1U) << i << destination;
      EXPECT_EQ(std::distance(fs::directory_iterator(keys.parent_path()), {}), 1) << i << destination;
      EXPECT_EQ(mode_of(keys.parent_path()), 0700U) << i << destination;
      fs::remove_all(root_ / "home");
    }
  }
}

// What an earlier copy brought, or the user has there, is no way for the next one either.
TEST_F(Trees, GoThroughNoLinkThatIsThereWhereTheSenderIsNotTrusted) {
  const fs::path keys = make_file("home/.ssh/keys", "mine");
  fs::create_symlink(".ssh", root_ / "home/srv");
  EXPECT_NE(unpack(entry("srv/keys", EntryType::file, "evil") + encode_end(), root_ / "home", {.root = "srv"}), "");
  EXPECT_NE(unpack(entry("./srv/keys", EntryType::file, "evil") + encode_end(), root_ / "home", {.root = "."}), "");
  EXPECT_EQ(content_of(keys), "mine");
}

// A hard link would make a file that is there already part of what is received, and of what is done with it.
TEST_F(Trees, TakeNoHardLinksWhereTheSenderIsNotTrusted) {
  const fs::path keys = make_file("home/.ssh/keys", "mine");
  const std::string lie =
      entry("./public", EntryType::directory) + entry("./public/k", EntryType::hardlink, "./.ssh/keys");
  EXPECT_EQ(unpack(lie + encode_end(), root_ / "home", {.root = "."}),
            "the archive holds a hard link, which none may: public/k");
  EXPECT_EQ(fs::hard_link_count(keys), 1U);
}

TEST_F(Trees, ReplaceALinkInsteadOfWritingThroughIt) {
  const fs::path outside = make_file("outside/secret", "untouched", 0600);
  fs::create_directory(root_ / "dst");
  const std::string archive =
      entry("l", EntryType::symlink, outside.string()) + entry("l", EntryType::file, "evil") + encode_end();
  EXPECT_EQ(unpack(archive, root_ / "dst"), "");
  EXPECT_EQ(content_of(outside), "untouched");
  EXPECT_EQ(mode_of(outside), 0600U);
  EXPECT_EQ(content_of(root_ / "dst/l"), "evil");
}

// A directory that the stream swaps for a link: neither mode nor time of the link's target change.
TEST_F(Trees, SettleOnlyTheirOwnDirectories) {
  const fs::path outside = make_file("outside/secret", "untouched").parent_path();
  ::chmod(outside.c_str(), 0700);
  fs::create_directories(root_ / "dst");
  const std::string archive = entry("d", EntryType::directory) + entry("e", EntryType::symlink, outside.string()) +
                              entry("e/.", EntryType::directory) + encode_end();
  EXPECT_NE(unpack(archive, root_ / "dst"), "");
  EXPECT_EQ(mode_of(outside), 0700U);
}

TEST_F(Trees, StayWithinLinksThatStayInside) {
  fs::create_directories(root_ / "dst/releases/1");
  fs::create_symlink("releases/1", root_ / "dst/current");
  EXPECT_EQ(unpack(entry("current/f", EntryType::file, "new") + encode_end(), root_ / "dst"), "");
  EXPECT_EQ(content_of(root_ / "dst/releases/1/f"), "new");
}

TEST(Paths, AreSplitAsTheyAreMeant) {
  const auto split = [](std::string_view path) {
    const SplitPath parts = split_path(path);
    return parts.directory + " | " + parts.name;
  };
  EXPECT_EQ(split("/srv/data"), "/srv | data");
  EXPECT_EQ(split("/srv/data//"), "/srv | data");
  EXPECT_EQ(split("/data"), "/ | data");
  EXPECT_EQ(split("data"), ". | data");
  EXPECT_EQ(split("/"), "/ | .");
  EXPECT_EQ(split(""), ". | .");
  EXPECT_EQ(split("."), ". | .");
  EXPECT_EQ(split("a/."), "a | .");
  EXPECT_EQ(split(".."), ".. | .");
  EXPECT_EQ(split("a/.."), "a/.. | .");
}

}  // namespace
}  // namespace microagent::archive
