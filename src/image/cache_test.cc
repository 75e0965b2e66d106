#include "image/cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include "image/disk.h"
#include "image/sha256.h"
#include "image/testing/images.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CacheTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(directory_);
    write_image("hello");
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write_image(const std::string& content) const {
    fs::remove_all(directory_ / "layout");
    const fs::path layer = directory_ / "layer";
    write_layer(layer, {{{"greeting", {.mode = 0644}, std::nullopt}, content}});
    write_layout(directory_ / "layout", {layer}, R"({"Cmd":["/bin/true"],"User":"7"})");
  }
  Reference reference() const { return *parse_reference(fmt::format("oci:{}/layout:latest", directory_.string())); }
  Cache cache() const { return *Cache::open(directory_ / "cache"); }
  Result<Cache::Held> obtain(int* steps = nullptr) const {
    return cache().obtain(reference(), Pull::missing, [&](const std::string& text) {
      if (steps != nullptr && !text.starts_with("waiting")) ++*steps;
    });
  }

  const fs::path directory_ = fs::path(testing::TempDir()) / ("cache_test." + std::to_string(::getpid()));
};

TEST_F(CacheTest, MakesAnImageOnce) {
  int steps = 0;
  {
    const auto held = obtain(&steps);
    ASSERT_TRUE(held) << held.error().message;
    EXPECT_EQ(held->image.reference, reference().name);
    EXPECT_EQ(held->image.command, std::vector<std::string>{"/bin/true"});
    EXPECT_EQ(held->image.user, "7");
    EXPECT_THAT(held->image.digest, HasSubstr("sha256:"));
    const std::string cat =
        fmt::format("PATH=$PATH:/sbin:/usr/sbin debugfs -R 'cat /greeting' {}", held->base.string());
    EXPECT_THAT(output_of(cat), HasSubstr("hello"));
  }
  EXPECT_GT(steps, 0);
  steps = 0;
  ASSERT_TRUE(obtain(&steps));
  EXPECT_EQ(steps, 0);
}

TEST_F(CacheTest, OtherContentIsAnotherImage) {
  const std::string first = obtain()->image.digest;
  write_image("other");
  EXPECT_NE(obtain()->image.digest, first);
  EXPECT_THAT(*cache().unused(), SizeIs(2));
}

TEST_F(CacheTest, TwoAtOnceMakeItOnce) {
  std::array<int, 2> steps{};
  std::array<bool, 2> made{};
  {
    std::jthread one([&] { made[0] = obtain(&steps[0]).has_value(); });
    std::jthread other([&] { made[1] = obtain(&steps[1]).has_value(); });
  }
  EXPECT_TRUE(made[0] && made[1]);
  EXPECT_TRUE((steps[0] == 0) != (steps[1] == 0)) << steps[0] << " " << steps[1];
}

TEST_F(CacheTest, WhatIsLentIsInUse) {
  const fs::path workspace = directory_ / "workspace";
  fs::create_directories(workspace);
  {
    const auto held = obtain();
    ASSERT_TRUE(held);
    // As long as it is held, nobody removes it.
    EXPECT_EQ(*cache().remove(cache().unused()->front()), Cache::Removal::busy);
    ASSERT_TRUE(lend_base(held->base, workspace / "base"));
    EXPECT_EQ(make_overlay(workspace / "base", workspace / "small", 1).error().kind, ErrorKind::usage);
    ASSERT_TRUE(make_overlay(workspace / "base", workspace / "disk", 20 * 1024));
    EXPECT_THAT(output_of("qemu-img info " + (workspace / "disk").string()), HasSubstr("20 GiB"));
  }
  EXPECT_THAT(*cache().unused(), IsEmpty());
  EXPECT_EQ(*cache().remove({cache().list()->front().name}), Cache::Removal::used);
  struct stat facts {};
  ASSERT_EQ(::stat((workspace / "base").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0400U);

  // The workspace keeps what it has when the cache is cleared.
  fs::remove_all(directory_ / "cache");
  EXPECT_THAT(output_of("qemu-img check " + (workspace / "disk").string()), HasSubstr("No errors"));
  ASSERT_TRUE(obtain());
  ASSERT_THAT(*cache().unused(), SizeIs(1));
  EXPECT_GT(cache().unused()->front().bytes, 0U);
  EXPECT_EQ(*cache().remove(cache().unused()->front()), Cache::Removal::done);
  EXPECT_THAT(*cache().unused(), IsEmpty());
}

TEST_F(CacheTest, TellsWhatIsThere) {
  EXPECT_THAT(*cache().list(), IsEmpty());
  const std::string first = obtain()->image.digest.substr(7);
  write_image("other");
  const std::string second = obtain()->image.digest.substr(7);
  ASSERT_TRUE(lend_base(obtain()->base, directory_ / "lent"));
  std::ofstream(directory_ / "cache/images/references/foreign.json") << R"({"reference":7,"digest":[]})";
  fs::create_directories(directory_ / "cache/images" / ("." + std::string(64, 'a') + ".new"));
  const auto all = cache().list();
  ASSERT_TRUE(all);
  ASSERT_THAT(*all, SizeIs(2));
  for (const Cache::Stored& image : *all) {
    const bool is_second = image.name == second;
    EXPECT_TRUE(is_second || image.name == first);
    EXPECT_EQ(image.used, is_second);
    EXPECT_GT(image.bytes, 100'000U);
    // The name means the second one by now.
    EXPECT_EQ(image.references, is_second ? std::vector{reference().name} : std::vector<std::string>{});
  }
}

TEST_F(CacheTest, AnImageHasSeveralNamesAndLosesOne) {
  fs::create_directory_symlink(directory_ / "layout", directory_ / "alias");
  const Reference alias = *parse_reference(fmt::format("oci:{}/alias:latest", directory_.string()));
  ASSERT_TRUE(obtain());
  ASSERT_TRUE(cache().obtain(alias, Pull::missing, [](const std::string&) {}));
  ASSERT_THAT(*cache().list(), SizeIs(1));
  EXPECT_THAT(cache().list()->front().references, testing::ElementsAre(alias.name, reference().name));
  EXPECT_TRUE(cache().forget(alias.name));
  EXPECT_THAT(cache().list()->front().references, testing::ElementsAre(reference().name));
  EXPECT_TRUE(cache().forget(alias.name)) << "it is forgotten already";
}

TEST_F(CacheTest, AnImageTakesItsNamesWithIt) {
  fs::create_directory_symlink(directory_ / "layout", directory_ / "alias");
  const Reference alias = *parse_reference(fmt::format("oci:{}/alias:latest", directory_.string()));
  ASSERT_TRUE(obtain());
  const fs::path names = directory_ / "cache/images/references";
  const std::string dead(64, 'a');
  std::ofstream(names / (dead + ".json")) << fmt::format(R"({{"reference":"dead","digest":"{}"}})", dead);
  ASSERT_EQ(*cache().remove(cache().unused()->front()), Cache::Removal::done);
  EXPECT_TRUE(fs::is_empty(names)) << "nor stays a name of what is not there";
  ASSERT_TRUE(cache().obtain(alias, Pull::missing, [](const std::string&) {}));
  EXPECT_THAT(cache().list()->front().references, testing::ElementsAre(alias.name));
  // Another image's names stay.
  write_image("other");
  ASSERT_TRUE(obtain());
  const auto all = cache().list();
  for (const auto& image : *all) {
    if (image.references == std::vector{alias.name}) {
      ASSERT_EQ(*cache().remove({image.name, 0}), Cache::Removal::done);
    }
  }
  ASSERT_THAT(*cache().list(), SizeIs(1));
  EXPECT_THAT(cache().list()->front().references, testing::ElementsAre(reference().name));
}

TEST_F(CacheTest, IsLentToSeveralAtOnce) {
  ASSERT_TRUE(obtain());
  const auto one = obtain();
  ASSERT_TRUE(one);
  auto other = std::async(std::launch::async, [this] { return obtain().has_value(); });
  ASSERT_EQ(other.wait_for(std::chrono::seconds(20)), std::future_status::ready) << "it waits for the first";
  EXPECT_TRUE(other.get());
  EXPECT_EQ(*cache().remove(cache().unused()->front()), Cache::Removal::busy);
}

TEST_F(CacheTest, ALentImageIsWaitedForAloud) {
  const std::string digest = obtain()->image.digest.substr(7);
  const Fd maker(::open((directory_ / "cache/images/locks" / (digest + ".lock")).c_str(), O_RDWR | O_CLOEXEC));
  struct flock whole {};
  whole.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(maker.get(), F_OFD_SETLK, &whole), 0);
  std::promise<std::string> said;
  auto other = std::async(std::launch::async, [&] {
    return cache().obtain(reference(), Pull::missing, [&](const std::string& text) { said.set_value(text); });
  });
  EXPECT_THAT(said.get_future().get(), HasSubstr("waiting"));
  whole.l_type = F_UNLCK;
  ASSERT_EQ(::fcntl(maker.get(), F_OFD_SETLK, &whole), 0);
  EXPECT_TRUE(other.get());
}

TEST_F(CacheTest, OneNameIsRememberedByManyAtOnce) {
  ASSERT_TRUE(obtain());
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < 4; ++i) {
      all.emplace_back([&] {
        for (int turn = 0; turn < 25; ++turn) failed += obtain() ? 0 : 1;
      });
    }
  }
  EXPECT_EQ(failed, 0);
}

// What is known of a name in a registry is kept between calls, and may be damaged there.
TEST_F(CacheTest, ADamagedReferenceIsAsGoodAsNone) {
  const Reference name = *parse_reference("127.0.0.1:1/x:1");
  fs::create_directories(directory_ / "cache/images/references");
  for (const char* record : {"", "7", "[]", R"({"digest":7})", R"({"digest":null})", R"({"digest":"../x"})"}) {
    std::ofstream(directory_ / "cache/images/references" / (sha256(name.name) + ".json")) << record;
    const auto held = cache().obtain(name, Pull::missing, [](const std::string&) {});
    ASSERT_FALSE(held) << record;
    EXPECT_EQ(held.error().kind, ErrorKind::transient) << held.error().message;
  }
}

TEST_F(CacheTest, ACrashLeavesNothingThatIsTakenForAnImage) {
  const std::string digest = obtain()->image.digest.substr(7);
  const fs::path images = directory_ / "cache" / "images";
  fs::remove_all(images / digest);
  fs::create_directories(images / ("." + digest + ".new") / "pulled");
  std::ofstream(images / ("." + digest + ".new") / "base.ext4") << "half";
  std::ofstream(images / ("." + digest + ".new") / "pulled" / "layer") << std::string(1024 * 1024, 'l');
  ASSERT_THAT(*cache().unused(), SizeIs(1));
  EXPECT_GT(cache().unused()->front().bytes, 1024U * 1024) << "what was pulled so far counts";
  const auto held = obtain();
  ASSERT_TRUE(held) << held.error().message;
  EXPECT_FALSE(fs::exists(images / ("." + digest + ".new")));
}

TEST_F(CacheTest, RefusesWhatIsNotWhatItsDigestSays) {
  for (const auto& blob : fs::directory_iterator(directory_ / "layout" / "blobs" / "sha256")) {
    std::ofstream(blob.path(), std::ios::app) << ' ';
  }
  const auto held = obtain();
  ASSERT_FALSE(held);
  EXPECT_THAT(*cache().unused(), IsEmpty());
}

TEST_F(CacheTest, TellsThatThereIsNoImage) {
  fs::remove_all(directory_ / "layout");
  const auto held = obtain();
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, ErrorKind::not_found) << held.error().message;
  EXPECT_FALSE(held.error().remediation.empty());
}

TEST_F(CacheTest, AHostileLayerWritesNothingOutside) {
  const fs::path layer = directory_ / "layer";
  const auto symlink = [](const char* path, std::string target) {
    return TestFile{{path, {.type = FileType::symlink, .mode = 0777, .target = std::move(target)}, std::nullopt}, {}};
  };
  const std::string outside = (directory_ / "outside").string();
  write_layer(layer, {symlink("way", outside),
                      symlink("up", "../../../.."),
                      {{"way/evil", {.mode = 0644}, std::nullopt}, "x"},
                      {{"up" + outside + "/evil", {.mode = 0644}, std::nullopt}, "x"}});
  fs::create_directories(outside);
  fs::remove_all(directory_ / "layout");
  write_layout(directory_ / "layout", {layer}, "{}");
  ASSERT_TRUE(obtain());
  EXPECT_TRUE(fs::is_empty(outside));

  for (const std::string path : {"../evil", "a/../../evil"}) {
    write_layer(layer, {{{path, {.mode = 0644}, std::nullopt}, "x"}});
    fs::remove_all(directory_ / "layout");
    write_layout(directory_ / "layout", {layer}, "{}");
    const auto refused = obtain();
    ASSERT_FALSE(refused) << path;
    EXPECT_THAT(refused.error().message, HasSubstr("leads out"));
  }
  for (const auto& entry : fs::recursive_directory_iterator(directory_)) EXPECT_NE(entry.path().filename(), "evil");
}

}  // namespace
}  // namespace microagent::image
