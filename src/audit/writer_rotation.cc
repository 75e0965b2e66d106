// How Writer goes on in a new file. The new file is complete, with the flows that are open, before it takes the log's
// name; until then the log is the old one, so a crash at any point leaves one of the two.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "audit/chain.h"
#include "audit/lines.h"
#include "audit/log_files.h"
#include "audit/writer.h"

namespace microagent::audit {
namespace {

namespace fs = std::filesystem;

Status rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return fail_errno(errno, fmt::format("cannot rename {}", from.string()));
}

Result<Head> last_of(const fs::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(errno, fmt::format("cannot open {}", file.string()));
  std::string last;
  const auto totals = for_each_line(fd.get(), file.string(), [&](std::uint64_t, std::string_view line) -> Status {
    last.assign(line);
    return {};
  });
  if (!totals) return fail(totals.error());
  const auto record = parse_record(last);
  return Head{record ? record->seq : 0, line_hash(last)};
}

}  // namespace

Status Writer::rotate_if_full() {
  if (size_ + later_.size() < rotate_at_) return {};
  if (Status flushed = flush(); !flushed) return flushed;
  const auto numbers = rotated_numbers(log_);
  if (!numbers) return fail(numbers.error());
  const std::uint64_t number = numbers->empty() ? 1 : numbers->back() + 1;
  if (Status begun = begin_next_file(number); !begun) return begun;
  return drop_oldest_files();
}

Status Writer::begin_next_file(std::uint64_t number) {
  const fs::path next_name = next_file(log_), aside = rotated_file(log_, number);
  auto next = open_private(next_name, O_RDWR | O_APPEND | O_TRUNC);
  if (!next) return fail(next.error());

  // As if they were written, but what they change takes effect only once the file has its name.
  std::uint64_t seq = last_seq_, size = 0;
  std::string prev = prev_;
  OpenFlows::const_iterator flow = open_.cbegin();
  do {
    const Fields fields{{"previous", aside.filename().string()},
                        {"lastFlow", last_flow_},
                        {"open", encode_open_flows(flow, open_.cend())}};
    const std::string timestamp = clock_();
    const std::string line = encode_record({++seq, timestamp, Event::rotated, workspace_, 0, prev}, fields);
    std::size_t written = 0;
    if (Status status = write_all(*next, line + "\n", next_name, written); !status) return status;
    prev = line_hash(line);
    size += line.size() + 1;
  } while (flow != open_.cend());

  if (Status renamed = rename_file(log_, aside); !renamed) return renamed;
  if (Status renamed = rename_file(next_name, log_); !renamed) {
    // The log keeps its name; what cannot be renamed back is found at the next start.
    static_cast<void>(rename_file(aside, log_));
    return renamed;
  }
  file_ = std::move(*next);
  last_seq_ = seq;
  prev_ = std::move(prev);
  size_ = size;
  rotate_at_ = size + rotation_.file_bytes;
  return head_.write({last_seq_, prev_});
}

Status Writer::drop_oldest_files() {
  const auto numbers = rotated_numbers(log_);
  if (!numbers) return fail(numbers.error());
  for (std::size_t i = 0; i + rotation_.kept_files < numbers->size(); ++i) {
    const fs::path oldest = rotated_file(log_, (*numbers)[i]);
    const auto last = last_of(oldest);
    if (!last) return fail(last.error());
    const Fields fields{{"file", oldest.filename().string()}, {"lastSeq", last->seq}, {"lastHash", last->hash}};
    if (Status told = append_record(Event::dropped, 0, fields); !told) return told;
    if (::unlink(oldest.c_str()) != 0) return fail_errno(errno, fmt::format("cannot remove {}", oldest.string()));
  }
  return {};
}

}  // namespace microagent::audit
