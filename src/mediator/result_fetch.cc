#include "mediator/result_fetch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "mediator/agent_protocol.h"
#include "mediator/io.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

using wire::FrameType;

tl::unexpected<Error> failed(std::string why) {
  return fail(ErrorKind::permanent, "the guest's result could not be fetched: " + std::move(why));
}

// What the guest says at the end of its command: nothing when it went well.
Status judge_end(const wire::FrameReader::Frame& frame) {
  const ByteView payload(frame.payload);
  if (payload.size() < sizeof(wire::ExitStatus)) return failed("it broke the protocol");
  if (frame.type == FrameType::exec_failed) return failed(printable(payload.subspan(sizeof(wire::ExitStatus))));
  const auto status = wire::parse_exit_status(payload);
  if (!status || status->code != 0 || status->signal != 0) return failed("it cannot be read in the guest");
  return {};
}

}  // namespace

bool ResultArchive::feed(ByteView bytes) { return judge(parser_.feed(bytes)); }

bool ResultArchive::finish() {
  if (!judge(parser_.finish())) return false;
  if (!found_) error_ = "there is no file in it";
  return found_;
}

bool ResultArchive::judge(bool went_well) {
  if (!went_well && error_.empty()) error_ = archive::to_string(parser_.error());
  return went_well;
}

bool ResultArchive::on_entry(const archive::Entry& entry) {
  if (std::exchange(found_, true)) error_ = "more than one file came";
  if (entry.type != archive::EntryType::file) error_ = "it is not a file";
  if (entry.size > wire::kMaxResult) error_ = fmt::format("it is larger than {} bytes", wire::kMaxResult);
  return error_.empty();
}

bool ResultArchive::on_content(ByteView bytes) {
  content_.append(bytes.begin(), bytes.end());
  return true;
}

ResultFetch::ResultFetch(asio::any_io_executor executor, std::filesystem::path file, Dial dial, Report report)
    : executor_(std::move(executor)), file_(std::move(file)), dial_(std::move(dial)), report_(std::move(report)) {}

void ResultFetch::on_written() {
  wanted_ = true;
  if (!std::exchange(fetching_, true)) spawn(executor_, fetch_while_wanted());
}

asio::awaitable<void> ResultFetch::fetch_while_wanted() {
  asio::steady_timer pause(executor_);
  while (std::exchange(wanted_, false)) {
    report_(co_await fetch());
    pause.expires_after(kSpacing);
    co_await pause.async_wait(kAsTuple);
  }
  fetching_ = false;
}

asio::awaitable<Result<std::size_t>> ResultFetch::fetch() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    co_return fail_errno(errno, "cannot make a socket pair");
  }
  Fd ours(ends[0]), guests(ends[1]);
  auto stream = watch(executor_, std::move(ours));
  if (!stream) co_return fail(stream.error());
  dial_(std::move(guests));
  ResultArchive archive;
  if (const Status received = co_await receive(*stream, archive); !received) co_return fail(received.error());
  if (const Status kept = keep(archive.content()); !kept) co_return fail(kept.error());
  co_return archive.content().size();
}

asio::awaitable<Status> ResultFetch::receive(Descriptor& stream, ResultArchive& archive) {
  const Deadline deadline = in(kPatience);
  const auto request = wire::encode_copy({.path = wire::kResultPath, .keep_owner = false, .follow = true}).value();
  const auto frame = wire::encode_frame(FrameType::get, ByteView(request));
  if (!co_await write_all(stream, frame, deadline)) co_return failed("it does not listen");
  wire::FrameReader frames;
  std::vector<std::uint8_t> chunk(16 * 1024);
  for (;;) {
    const std::size_t size = co_await read_some(stream, chunk, deadline);
    if (size == 0) co_return failed("its answer ended too early");
    frames.feed(ByteView(chunk).first(size));
    while (const auto next = frames.next()) {
      if (next->type == FrameType::error_output || next->type == FrameType::input_taken) continue;
      if (next->type == FrameType::output) {
        if (!archive.feed(next->payload)) co_return failed(archive.error());
        continue;
      }
      if (next->type != FrameType::exited && next->type != FrameType::exec_failed)
        co_return failed("it broke the protocol");
      if (const Status end = judge_end(*next); !end) co_return end;
      if (!archive.finish()) co_return failed(archive.error());
      co_return Status();
    }
    if (frames.broken()) co_return failed("it broke the protocol");
  }
}

// Whole or not at all.
Status ResultFetch::keep(const std::string& content) const {
  const std::string unfinished = file_.string() + ".new";
  const Fd out(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return fail_errno(errno, fmt::format("cannot write {}", unfinished));
  for (std::string_view rest = content; !rest.empty();) {
    const ssize_t count = ::write(out.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("cannot write {}", unfinished));
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(out.get()) != 0 || ::rename(unfinished.c_str(), file_.c_str()) != 0) {
    return fail_errno(errno, fmt::format("cannot write {}", file_.string()));
  }
  return {};
}

}  // namespace microagent::mediator
