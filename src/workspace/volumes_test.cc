#include "workspace/volumes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "workspace/state.h"
#include "workspace/test_directory.h"

namespace microagent::workspace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Volumes : public testing::Test {
 protected:
  static Status make(const std::filesystem::path& file) {
    put(file, "a disk");
    return {};
  }
  static Manifest declaring(const char* workspace, const char* volume) {
    Manifest manifest;
    manifest.name = workspace;
    manifest.volumes = {{volume, "/v"}};
    return manifest;
  }
  void declare(const char* workspace, const char* volume) const {
    ASSERT_TRUE(store_.create(declaring(workspace, volume)));
  }

  const TestDirectory directory_;
  const std::filesystem::path root_ = directory_.path() / "state";
  const Store store_ = *Store::open(root_);
};

TEST_F(Volumes, AreMadeOnce) {
  EXPECT_THAT(*list_volumes(store_), IsEmpty());
  ASSERT_TRUE(ensure_volume(root_, "data", make));
  ASSERT_TRUE(ensure_volume(root_, "data", [](const auto&) { return fail(ErrorKind::permanent, "made twice"); }));
  EXPECT_EQ(get(volume_file(root_, "data")), "a disk");
  ASSERT_EQ(list_volumes(store_)->size(), 1U);
  EXPECT_EQ(list_volumes(store_)->front().name, "data");
}

TEST_F(Volumes, AreMadeWholeOrNotAtAll) {
  const auto made = ensure_volume(root_, "data", [](const auto& file) -> Status {
    put(file, "half");
    return fail(ErrorKind::resource_exhausted, "full");
  });
  ASSERT_FALSE(made);
  EXPECT_FALSE(std::filesystem::exists(volume_file(root_, "data")));
  EXPECT_THAT(*list_volumes(store_), IsEmpty());
  EXPECT_TRUE(ensure_volume(root_, "data", make));
}

TEST_F(Volumes, HaveOneHolder) {
  const Error missing = attach_volume(root_, "data", "web").error();
  EXPECT_EQ(missing.kind, ErrorKind::not_found);
  EXPECT_EQ(missing.remediation, "make it: microagent volume create data");
  ASSERT_TRUE(ensure_volume(root_, "data", make));
  {
    const auto held = attach_volume(root_, "data", "web");
    ASSERT_TRUE(held);
    const auto refused = attach_volume(root_, "data", "other");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
    EXPECT_THAT(refused.error().message, HasSubstr("\"web\""));
    EXPECT_EQ(list_volumes(store_)->front().attached_to, "web");
    EXPECT_EQ(remove_volume(store_, "data").error().kind, ErrorKind::conflict);
  }
  EXPECT_EQ(list_volumes(store_)->front().attached_to, "");
  EXPECT_TRUE(attach_volume(root_, "data", "other"));
}

TEST_F(Volumes, AreKeptWhileTheyAreDeclared) {
  ASSERT_TRUE(ensure_volume(root_, "data", make));
  declare("web", "data");
  declare("other", "more");
  EXPECT_THAT(list_volumes(store_)->front().declared_by, ElementsAre("web"));
  EXPECT_THAT(remove_volume(store_, "data").error().message, HasSubstr("\"web\""));
  ASSERT_TRUE(store_.remove("web"));
  ASSERT_TRUE(remove_volume(store_, "data"));
  EXPECT_THAT(*list_volumes(store_), IsEmpty());
  EXPECT_EQ(remove_volume(store_, "data").error().kind, ErrorKind::not_found);
  EXPECT_EQ(remove_volume(store_, "../state").error().kind, ErrorKind::not_found);
}

TEST_F(Volumes, AreKeptForAWorkspaceToComeAsLongAsItMay) {
  ASSERT_TRUE(ensure_volume(root_, "data", make));
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(store_.create(declaring("web", "data"), [&](const auto&) -> Status {
      const Status removed = remove_volume(store_, "data");
      ::_exit(!removed && removed.error().message == "workspace \"web\" declares volume \"data\"" ? 0 : 1);
    }));
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(store_.leftovers()->empty()) << "it ended in the midst";
  EXPECT_TRUE(remove_volume(store_, "data"));
}

// Whatever of the two comes first: a workspace never declares what is not there.
TEST_F(Volumes, AreNotRemovedFromAWorkspaceThatIsBeingCreated) {
  for (int turn = 0; turn < 100; ++turn) {
    ASSERT_TRUE(ensure_volume(root_, "data", make));
    {
      const std::jthread remover([&] { static_cast<void>(remove_volume(store_, "data")); });
      const Status created = store_.create(declaring("web", "data"), [&](const auto&) {
        const auto ensured = ensure_volume(root_, "data", make);
        return ensured ? Status() : fail(ensured.error());
      });
      ASSERT_TRUE(created) << created.error().message;
    }
    ASSERT_TRUE(std::filesystem::exists(volume_file(root_, "data"))) << turn;
    EXPECT_THAT(list_volumes(store_)->front().declared_by, ElementsAre("web"));
    ASSERT_TRUE(store_.remove("web"));
  }
}

TEST_F(Volumes, HaveRules) {
  Manifest manifest;
  manifest.name = "web";
  manifest.volumes = {{"a", "/x"}, {"b", "/x/y"}};
  EXPECT_TRUE(validate(manifest));
  for (const Volume& volume : {Volume{"A", "/z"}, Volume{"", "/z"}, Volume{"../a", "/z"}, Volume{"c", "z"},
                               Volume{"c", "/"}, Volume{"c", "/z/../y"}, Volume{"a", "/z"}, Volume{"c", "/x"}}) {
    manifest.volumes.resize(2);
    manifest.volumes.push_back(volume);
    EXPECT_THAT(validate(manifest).error().message, HasSubstr("volumes[2]")) << volume.name << ":" << volume.path;
  }
}

TEST_F(Volumes, HideNoBundle) {
  Manifest manifest;
  manifest.name = "web";
  manifest.image.emplace();
  manifest.volumes = {{"a", "/x"}};
  for (const char* path : {"/", "/xy", "/y/x"}) {
    manifest.bundles = {{"/f.tar", path}};
    EXPECT_TRUE(validate(manifest)) << path;
  }
  for (const char* path : {"/x", "/x/y", "y", "", "/y/../z"}) {
    manifest.bundles = {{"/f.tar", path}};
    EXPECT_THAT(validate(manifest).error().message, HasSubstr("bundles[0]")) << path;
  }
  manifest.image.reset();
  manifest.bundles = {{"/f.tar", "/"}};
  EXPECT_THAT(validate(manifest).error().remediation, HasSubstr("--image"));
}

}  // namespace
}  // namespace microagent::workspace
