#pragma once

// The guest's result (wire::kResultPath), fetched over its exec service when it says that the file has been written,
// and kept in the workspace's directory, where it can be read after the guest's end.

#include <filesystem>
#include <functional>
#include <string>

#include "archive/tar.h"
#include "mediator/io.h"

namespace microagent::mediator {

// The one file that the guest's answer must hold.
class ResultArchive final : private archive::TarSink {
 public:
  // False when the guest's answer is no such archive; error() says why.
  bool feed(ByteView bytes);
  bool finish();

  const std::string& error() const { return error_; }
  const std::string& content() const { return content_; }

 private:
  bool on_entry(const archive::Entry& entry) override;
  bool on_content(ByteView bytes) override;
  bool on_entry_end() override { return true; }
  bool judge(bool went_well);

  archive::TarParser parser_{*this};
  bool found_ = false;
  std::string content_, error_;
};

// Fetches one result at a time, and no more often than once a kSpacing however often the guest asks for it. Must
// outlive its event loop's run.
class ResultFetch {
 public:
  static constexpr std::chrono::milliseconds kPatience{60'000};
  static constexpr std::chrono::milliseconds kSpacing{1'000};

  // Splices this end with a new stream to the guest's exec service.
  using Dial = std::function<void(Fd stream)>;
  // Told how many bytes are kept now, or why they are not.
  using Report = std::function<void(const Result<std::size_t>& kept)>;

  ResultFetch(asio::any_io_executor executor, std::filesystem::path file, Dial dial, Report report);

  // The guest has written its result, perhaps again.
  void on_written();

 private:
  asio::awaitable<void> fetch_while_wanted();
  asio::awaitable<Result<std::size_t>> fetch();
  asio::awaitable<Status> receive(Descriptor& stream, ResultArchive& archive);
  Status keep(const std::string& content) const;

  asio::any_io_executor executor_;
  std::filesystem::path file_;
  Dial dial_;
  Report report_;
  bool wanted_ = false, fetching_ = false;
};

}  // namespace microagent::mediator
