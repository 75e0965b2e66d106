#include "image/file_tree.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::image {
namespace {

using testing::HasSubstr;

LayerEntry directory(std::string path, std::uint32_t mode = 0755) {
  return {std::move(path), {.type = FileType::directory, .mode = mode}, std::nullopt};
}
LayerEntry file(std::string path, std::uint32_t uid = 0) {
  return {std::move(path), {.type = FileType::file, .mode = 0644, .uid = uid}, std::nullopt};
}
LayerEntry symlink(std::string path, std::string target) {
  return {std::move(path), {.type = FileType::symlink, .target = std::move(target)}, std::nullopt};
}
LayerEntry hard_link(std::string path, std::string target) { return {std::move(path), {}, std::move(target)}; }

// Every path of the tree, directories with a slash behind them.
void list(const FileTree::Node& node, const std::string& path, std::vector<std::string>& out) {
  for (const auto& [name, child] : node.children) {
    const bool is_directory = child->inode->type == FileType::directory;
    const std::string whole = path + name + (is_directory ? "/" : "");
    out.push_back(whole);
    list(*child, whole, out);
  }
}

class FileTreeTest : public testing::Test {
 protected:
  void layer(std::vector<LayerEntry> entries) {
    tree_.begin_layer();
    for (LayerEntry& entry : entries) {
      const std::string path = entry.path;
      const Status added = tree_.add(std::move(entry));
      ASSERT_TRUE(added) << path << ": " << added.error().message;
    }
  }
  std::string refusal(LayerEntry entry) {
    const Status added = tree_.add(std::move(entry));
    return added ? "" : added.error().message;
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    list(tree_.root(), "", all);
    EXPECT_EQ(all.size(), tree_.files());
    return all;
  }
  const FileTree::Node& at(std::initializer_list<const char*> way) const {
    const FileTree::Node* node = &tree_.root();
    for (const char* name : way) node = node->children.find(name)->second.get();
    return *node;
  }

  FileTree tree_;
};

using Paths = std::vector<std::string>;

TEST_F(FileTreeTest, TheUpperLayerWins) {
  layer({directory("etc"), file("etc/a", 1), file("etc/b", 1)});
  layer({file("./etc/a", 2), file("/etc/c", 2)});
  EXPECT_EQ(paths(), (Paths{"etc/", "etc/a", "etc/b", "etc/c"}));
  EXPECT_EQ(at({"etc", "a"}).inode->uid, 2U);
  EXPECT_EQ(at({"etc", "b"}).inode->uid, 1U);
}

TEST_F(FileTreeTest, ADirectoryTakesNewFactsAndKeepsItsContent) {
  layer({directory("d", 0755), file("d/kept")});
  layer({directory("d", 01777)});
  EXPECT_EQ(paths(), (Paths{"d/", "d/kept"}));
  EXPECT_EQ(at({"d"}).inode->mode, 01777U);
}

TEST_F(FileTreeTest, OneTypeTakesAnothersPlace) {
  layer({directory("d"), file("d/gone"), file("f")});
  layer({file("d"), directory("f"), file("f/new")});
  EXPECT_EQ(paths(), (Paths{"d", "f/", "f/new"}));
}

TEST_F(FileTreeTest, WhiteoutsHideOnlyWhatLiesBelow) {
  layer({directory("d"), file("d/a"), file("d/b"), directory("d/sub"), file("d/sub/x")});
  // In whatever order: what this layer has itself stays.
  layer({file("d/.wh.a"), file("d/a", 7), file("d/new"), file("d/.wh.new"), file("d/.wh.sub")});
  EXPECT_EQ(paths(), (Paths{"d/", "d/a", "d/b", "d/new"}));
  EXPECT_EQ(at({"d", "a"}).inode->uid, 7U);
}

TEST_F(FileTreeTest, AnOpaqueDirectoryHasNothingFromBelow) {
  layer({directory("d"), file("d/old"), directory("d/sub"), file("d/sub/old")});
  layer({directory("d/sub"), file("d/sub/new"), directory("d"), file("d/.wh..wh..opq"), file("d/fresh")});
  EXPECT_EQ(paths(), (Paths{"d/", "d/fresh", "d/sub/", "d/sub/new"}));
}

TEST_F(FileTreeTest, WhiteoutsOfNothingAreFine) {
  layer({file("a")});
  layer({file(".wh.none"), file("no/where/.wh.x"), file("a/.wh.x"), file("b/.wh..wh..opq"), file(".wh..wh.plnk")});
  EXPECT_EQ(paths(), (Paths{"a"}));
}

TEST_F(FileTreeTest, HardLinksShareOneInode) {
  layer({file("a", 3), directory("d"), hard_link("d/b", "a"), hard_link("./c", "/d/b")});
  EXPECT_EQ(at({"a"}).inode, at({"d", "b"}).inode);
  EXPECT_EQ(at({"a"}).inode, at({"c"}).inode);
  layer({hard_link("later", "a"), file("a", 4)});
  EXPECT_EQ(at({"later"}).inode->uid, 3U);
  EXPECT_EQ(at({"a"}).inode->uid, 4U);
}

TEST_F(FileTreeTest, AHardLinkToItselfChangesNothing) {
  layer({file("a", 3), hard_link("a", "a")});
  EXPECT_EQ(paths(), (Paths{"a"}));
  EXPECT_EQ(at({"a"}).inode->uid, 3U);
}

TEST_F(FileTreeTest, LinksOnTheWayAreFollowedWithinTheTree) {
  layer({directory("usr"), directory("usr/bin"), symlink("bin", "usr/bin"), symlink("abs", "/usr")});
  layer({file("bin/tool"), file("abs/more"), symlink("up", "../../../../usr"), file("up/top")});
  EXPECT_EQ(paths(), (Paths{"abs", "bin", "up", "usr/", "usr/bin/", "usr/bin/tool", "usr/more", "usr/top"}));
}

TEST_F(FileTreeTest, MissingDirectoriesAreMade) {
  layer({file("a/b/c")});
  EXPECT_EQ(paths(), (Paths{"a/", "a/b/", "a/b/c"}));
  EXPECT_EQ(at({"a"}).inode->mode, 0755U);
  layer({symlink("dangling", "x/y"), file("dangling/z")});
  EXPECT_EQ(paths(), (Paths{"a/", "a/b/", "a/b/c", "dangling", "x/", "x/y/", "x/y/z"}));
}

TEST_F(FileTreeTest, TheRootHasFactsToo) {
  layer({directory("./", 0700), file("a")});
  EXPECT_EQ(tree_.root().inode->mode, 0700U);
  EXPECT_THAT(refusal(file("/")), HasSubstr("no directory"));
}

TEST_F(FileTreeTest, RefusesWhatLeadsOut) {
  layer({file("a")});
  EXPECT_THAT(refusal(file("../x")), HasSubstr("leads out"));
  EXPECT_THAT(refusal(file("a/../../x")), HasSubstr("leads out"));
  EXPECT_THAT(refusal(hard_link("b", "../../etc/passwd")), HasSubstr("leads out"));
  EXPECT_THAT(refusal(file("a/below")), HasSubstr("below what is no directory"));
  EXPECT_THAT(refusal(hard_link("b", "nothing")), HasSubstr("not there"));
  EXPECT_THAT(refusal(hard_link("b", "/")), HasSubstr("root"));
  EXPECT_EQ(paths(), (Paths{"a"}));
}

TEST_F(FileTreeTest, RefusesLoopsAndExcesses) {
  layer({symlink("one", "two"), symlink("two", "one"), symlink("self", "self/self")});
  EXPECT_THAT(refusal(file("one/x")), HasSubstr("too many symbolic links"));
  EXPECT_THAT(refusal(file("self/x")), HasSubstr("too many symbolic links"));
  EXPECT_THAT(refusal(file(std::string(256, 'n'))), HasSubstr("too long a name"));
  EXPECT_THAT(refusal(file(std::string(5000, '/') + "n")), HasSubstr("too long a path"));
  std::string deep;
  for (std::size_t i = 0; i <= FileTree::kMaxDepth; ++i) deep += "d/";
  EXPECT_THAT(refusal(file(deep + "f")), HasSubstr("too deep"));
  layer({symlink("long", std::string(300, 'n'))});
  EXPECT_THAT(refusal(file("long/x")), HasSubstr("too long a name"));
}

TEST_F(FileTreeTest, NamesInMessagesAreHarmless) {
  EXPECT_EQ(refusal(file("\x1b[31m/../x")).find('\x1b'), std::string::npos);
}

TEST(FileTree, TakesABoundedAmountOfMemory) {
  const auto adds = [](auto make) {
    FileTree tree(1024 * 1024);
    tree.begin_layer();
    for (int i = 0; i < 100'000; ++i) {
      if (const Status added = tree.add(make(i)); !added) {
        EXPECT_EQ(added.error().kind, ErrorKind::unsupported);
        return i;
      }
    }
    return -1;
  };
  const std::string attribute(4000, 'v');
  EXPECT_GT(adds([](int i) { return file(fmt::format("f{}", i)); }), 1000);
  EXPECT_GT(adds([](int i) { return symlink(fmt::format("f{}", i), std::string(4000, 't')); }), 200);
  for (const auto& path : {"{}", "same"}) {
    const int added = adds([&](int i) {
      LayerEntry entry = directory(fmt::format(fmt::runtime(path), i));
      entry.inode.attributes.push_back({"user.x", attribute});
      return entry;
    });
    EXPECT_GT(added, 200);
    EXPECT_LT(added, 300);
  }
}

}  // namespace
}  // namespace microagent::image
