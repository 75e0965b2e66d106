#include "mediator/result_fetch.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "mediator/test_directory.h"
#include "mediator/test_loop.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

using testing::HasSubstr;
using wire::FrameType;

std::string tar_of(const std::string& content, archive::EntryType type = archive::EntryType::file) {
  archive::Entry entry;
  entry.path = "result";
  entry.type = type;
  entry.mode = 0644;
  if (type == archive::EntryType::file) entry.size = content.size();
  if (type == archive::EntryType::symlink) entry.link = content;
  std::string tar = archive::encode_header(entry);
  if (type != archive::EntryType::file) return tar;
  return tar + content + std::string(archive::padding_of(content.size()), '\0');
}

std::string whole(const std::string& content) { return tar_of(content) + archive::encode_end(); }

ByteView view(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::string verdict_on(const std::string& tar) {
  ResultArchive archive;
  return archive.feed(view(tar)) && archive.finish() ? "kept" : archive.error();
}

TEST(ResultArchive, HoldsOneFile) {
  EXPECT_EQ(verdict_on(whole("{}")), "kept");
  EXPECT_EQ(verdict_on(whole("")), "kept");
  EXPECT_EQ(verdict_on(archive::encode_end()), "there is no file in it");
  EXPECT_EQ(verdict_on(tar_of("a") + whole("b")), "more than one file came");
  EXPECT_EQ(verdict_on(tar_of("/etc/passwd", archive::EntryType::symlink) + archive::encode_end()), "it is not a file");
  EXPECT_EQ(verdict_on(tar_of("", archive::EntryType::directory) + archive::encode_end()), "it is not a file");
  EXPECT_NE(verdict_on("no archive at all" + std::string(1000, 'x')), "kept");
  EXPECT_NE(verdict_on(tar_of("cut").substr(0, 600)), "kept");
}

TEST(ResultArchive, HasALimit) {
  EXPECT_EQ(verdict_on(whole(std::string(wire::kMaxResult, 'x'))), "kept");
  EXPECT_THAT(verdict_on(tar_of(std::string(wire::kMaxResult + 1, 'x')).substr(0, 512)), HasSubstr("larger than"));
}

// The guest's exec service is the test.
class ResultFetchTest : public testing::Test {
 protected:
  ResultFetchTest()
      : fetch_(
            loop_.io.get_executor(), file(),
            [this](Fd stream) {
              ++dials_;
              guest_ = std::move(stream);
            },
            [this](const Result<std::size_t>& kept) {
              reports_.push_back(kept ? std::to_string(*kept) : kept.error().message);
            }) {}

  std::filesystem::path file() const { return directory_.audit_file().parent_path() / "result"; }
  std::string kept() const {
    std::ifstream in(file());
    return {std::istreambuf_iterator<char>(in), {}};
  }

  // The request, once it has come.
  wire::FrameReader::Frame request() {
    wire::FrameReader frames;
    std::optional<wire::FrameReader::Frame> frame;
    EXPECT_TRUE(loop_.until([&] {
      if (const auto bytes = guest_ ? arrived(guest_) : std::nullopt) frames.feed(*bytes);
      return (frame = frames.next()).has_value();
    }));
    return frame.value_or(wire::FrameReader::Frame{});
  }
  void answer(const std::string& tar, std::uint32_t code = 0) {
    for (std::size_t at = 0; at < tar.size(); at += 10'000) {
      put(guest_, wire::encode_frame(FrameType::output, std::string_view(tar).substr(at, 10'000)));
    }
    put(guest_, wire::encode_frame(FrameType::exited, bytes_of(wire::ExitStatus{code, 0})));
  }
  std::string report() {
    EXPECT_TRUE(loop_.until([&] { return !reports_.empty(); }));
    const std::string first = reports_.empty() ? "none" : reports_.front();
    reports_.clear();
    return first;
  }

  TestDirectory directory_;
  TestLoop loop_;
  Fd guest_;
  int dials_ = 0;
  std::vector<std::string> reports_;
  ResultFetch fetch_;
};

TEST_F(ResultFetchTest, KeepsWhatTheGuestWrote) {
  fetch_.on_written();
  const auto asked = request();
  EXPECT_EQ(asked.type, FrameType::get);
  EXPECT_EQ(wire::parse_copy(asked.payload)->path, wire::kResultPath);
  answer(whole("the answer"));
  EXPECT_EQ(report(), "10");
  EXPECT_EQ(kept(), "the answer");
  struct stat status {};
  ASSERT_EQ(::stat(file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(ResultFetchTest, SaysWhyNotAndKeepsWhatItHad) {
  std::ofstream(file()) << "older";
  fetch_.on_written();
  request();
  answer("", 1);
  EXPECT_THAT(report(), HasSubstr("cannot be read in the guest"));
  fetch_.on_written();
  ASSERT_TRUE(loop_.until([&] { return dials_ == 2; }));
  request();
  guest_.reset();
  EXPECT_THAT(report(), HasSubstr("ended too early"));
  EXPECT_EQ(kept(), "older");
}

TEST_F(ResultFetchTest, StandsNonsense) {
  fetch_.on_written();
  request();
  put(guest_, bytes("nonsense that is no frame"));
  EXPECT_THAT(report(), HasSubstr("broke the protocol"));
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(ResultFetchTest, FetchesOnceForAllThatIsWrittenMeanwhile) {
  fetch_.on_written();
  request();
  for (int i = 0; i < 1000; ++i) fetch_.on_written();
  answer(whole("first"));
  EXPECT_EQ(report(), "5");
  ASSERT_TRUE(loop_.until([&] { return dials_ == 2; }));
  request();
  answer(whole("second"));
  EXPECT_EQ(report(), "6");
  EXPECT_EQ(kept(), "second");
  loop_.io.restart();
  loop_.io.run_for(2 * ResultFetch::kSpacing);
  EXPECT_EQ(dials_, 2);
}

}  // namespace
}  // namespace microagent::mediator
