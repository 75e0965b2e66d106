#include "audit/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "audit/chain.h"
#include "audit/log_files.h"

namespace microagent::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostLater = 64 * 1024;

// A rotation that died between its two renames left the log under the name of what was to become it; one that died
// before them left a beginning that nobody needs.
Status finish_rotation(const fs::path& log) {
  const fs::path next = next_file(log);
  if (::access(next.c_str(), F_OK) != 0) return {};
  const bool there = ::access(log.c_str(), F_OK) == 0;
  if (there && ::unlink(next.c_str()) != 0) return fail_errno(errno, fmt::format("cannot remove {}", next.string()));
  if (!there && ::rename(next.c_str(), log.c_str()) != 0) {
    return fail_errno(errno, fmt::format("cannot rename {}", next.string()));
  }
  return {};
}

}  // namespace

Writer::Writer(fs::path log, Fd file, HeadFile head, std::string workspace, Clock clock, Rotation rotation, Tail tail)
    : log_(std::move(log)),
      file_(std::move(file)),
      head_(std::move(head)),
      workspace_(std::move(workspace)),
      clock_(clock),
      rotation_(rotation),
      last_seq_(tail.last_seq),
      last_flow_(tail.last_flow),
      prev_(std::move(tail.prev)),
      size_(tail.totals.whole_bytes),
      rotate_at_(rotation.file_bytes),
      open_(std::move(tail.open)) {}

Result<Writer> Writer::open(const fs::path& log, std::string workspace, Clock clock, Rotation rotation) {
  if (Status finished = finish_rotation(log); !finished) return fail(finished.error());
  auto file = open_private(log, O_RDWR | O_APPEND);
  if (!file) return fail(file.error());
  auto tail = read_tail(file->get(), log.string());
  if (!tail) return fail(tail.error());
  const auto head = read_head(log);
  if (!head) return fail(head.error());
  auto head_writer = HeadFile::open(log);
  if (!head_writer) return fail(head_writer.error());

  const std::uint64_t torn_bytes = tail->totals.torn_bytes;
  Writer writer(log, std::move(*file), std::move(*head_writer), std::move(workspace), clock, rotation,
                std::move(*tail));
  if (Status settled = writer.settle(torn_bytes, *head); !settled) return fail(settled.error());
  return writer;
}

// Puts right, and on record, what an earlier process or somebody else left.
Status Writer::settle(std::uint64_t torn_bytes, const std::optional<Head>& head) {
  if (torn_bytes != 0) {
    if (Status kept = keep_torn_line(torn_bytes); !kept) return kept;
  }
  if (!head) {
    // The file has its block from now on: no full disk keeps a later head from being written.
    if (Status begun = head_.write({last_seq_, prev_}); !begun) return begun;
  } else if (head->seq == last_seq_ && head->hash != prev_) {
    if (Status told = write(Event::recovered, 0, {{"changed", last_seq_}}); !told) return told;
  } else if (head->seq > last_seq_) {
    const std::uint64_t missing = head->seq - last_seq_;
    // What was written keeps its number: no two records ever had the same.
    last_seq_ = head->seq;
    if (Status told = write(Event::recovered, 0, {{"missing", missing}}); !told) return told;
  }
  if (torn_bytes != 0) {
    const Fields fields{{"tornBytes", torn_bytes}, {"movedTo", torn_file(log_).string()}};
    if (Status told = write(Event::recovered, 0, fields); !told) return told;
  }
  return close_open_flows();
}

Status Writer::write(Event event, std::uint64_t flow, const Fields& fields) {
  Status ready = drop_partial_line();
  if (ready) ready = rotate_if_full();
  if (ready) return append_record(event, flow, fields);
  ++unwritten_;
  return ready;
}

Status Writer::tell_unwritten() {
  const std::uint64_t unwritten = unwritten_;
  if (unwritten == 0) return {};
  const Status told = write(Event::recovered, 0, {{"unwritten", unwritten}});
  if (told) {
    unwritten_ = 0;
  } else {
    --unwritten_;  // this very record is none that is missing
  }
  return told;
}

Status Writer::write_later(Event event, std::uint64_t flow, const Fields& fields) {
  if (size_ + later_.size() >= rotate_at_ || later_.size() >= kMostLater) return write(event, flow, fields);
  add_record(event, flow, fields);
  return {};
}

void Writer::add_record(Event event, std::uint64_t flow, const Fields& fields) {
  if (later_.empty()) written_ = {last_seq_, prev_};
  const std::string timestamp = clock_();
  const std::string line = encode_record({last_seq_ + 1, timestamp, event, workspace_, flow, prev_}, fields);
  ++last_seq_;
  prev_ = line_hash(line);
  later_ += line;
  later_ += '\n';
  note(event, flow, fields);
}

Status Writer::append_record(Event event, std::uint64_t flow, const Fields& fields) {
  add_record(event, flow, fields);
  return flush();
}

Status Writer::flush() {
  if (later_.empty()) return {};
  const std::string lines = std::exchange(later_, {});
  Status status = drop_partial_line();
  if (status) status = append(lines);
  if (status) {
    status = head_.write({last_seq_, prev_});
    if (status) {
      note_flushed(true);
      return status;
    }
    // Records that the head does not know could be cut off unseen: they are taken back.
    size_ -= lines.size();
    partial_line_ = true;
    static_cast<void>(drop_partial_line());
  }
  unwritten_ += last_seq_ - written_.seq;
  last_seq_ = written_.seq;
  prev_ = written_.hash;
  note_flushed(false);
  return status;
}

void Writer::note(Event event, std::uint64_t flow, const Fields& fields) {
  if (const auto closing = closing_event(event)) {
    const auto text = [&](const char* key) { return fields.value(key, std::string()); };
    notes_.emplace_back(flow, OpenFlow{*closing, text("host"), text("dst")});
  } else if (ends_flow(event)) {
    notes_.emplace_back(flow, std::nullopt);
  }
}

void Writer::note_flushed(bool written) {
  for (auto& [flow, open] : std::exchange(notes_, {})) {
    if (!written) continue;
    open ? void(open_.insert_or_assign(flow, std::move(*open))) : void(open_.erase(flow));
  }
  if (on_flushed_) on_flushed_(written);
}

Status Writer::close_open_flows() {
  if (const Status flushed = flush(); !flushed) return flushed;
  while (!open_.empty()) {
    const auto [flow, open] = *open_.begin();
    const Status status = write(open.closing, flow, {{"host", open.host}, {"dst", open.dst}, {"end", "lost"}});
    if (!status) return status;
  }
  return {};
}

// Copies it to <log>.torn; the next write takes it away.
Status Writer::keep_torn_line(std::uint64_t bytes) {
  const fs::path aside_name = torn_file(log_);
  const auto aside = open_private(aside_name, O_WRONLY | O_APPEND);
  if (!aside) return fail(aside.error());
  std::string torn(bytes, '\0');
  const ssize_t count = ::pread(file_.get(), torn.data(), torn.size(), static_cast<off_t>(size_));
  if (count < 0) return fail_errno(errno, fmt::format("cannot read {}", log_.string()));
  torn.resize(static_cast<std::size_t>(count));
  std::size_t written = 0;
  if (const Status status = write_all(*aside, torn + "\n", aside_name, written); !status) return status;

  partial_line_ = true;
  return {};
}

// A line that was cut short by a full disk must not stay in front of the next one.
Status Writer::drop_partial_line() {
  if (!partial_line_) return {};
  if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) {
    return fail_errno(errno, fmt::format("cannot repair {}", log_.string()));
  }
  partial_line_ = false;
  return {};
}

Status Writer::append(std::string_view bytes) {
  std::size_t written = 0;
  const Status status = write_all(file_, bytes, log_, written);
  if (status) {
    size_ += bytes.size();
    return status;
  }
  // Tried at once so that readers see whole lines; where it fails, partial_line_ makes the next write insist on it.
  partial_line_ = written != 0;
  static_cast<void>(drop_partial_line());
  return status;
}

}  // namespace microagent::audit
