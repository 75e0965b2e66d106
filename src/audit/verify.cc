#include "audit/verify.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "audit/chain.h"
#include "audit/head.h"
#include "audit/lines.h"
#include "audit/log_files.h"
#include "audit/record.h"
#include "audit/tail.h"
#include "base/fd.h"

namespace microagent::audit {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> broken(const std::string& where, std::string_view why) {
  return fail(ErrorKind::permanent, fmt::format("{}: {}", where, why));
}

class Verifier {
 public:
  explicit Verifier(std::optional<Head> head) : head_(std::move(head)) {}

  Status read(const fs::path& path) {
    const std::string name = path.string();
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return fail_errno(errno, fmt::format("cannot open {}", name));
    // Only the last file may end in a line that nobody finished.
    if (result_.torn_bytes != 0) return broken(name, "the file before it ends within a line");
    const auto totals = for_each_line(file.get(), name, [&](std::uint64_t number, std::string_view line) {
      return on_line(fmt::format("{}: line {}", name, number), line);
    });
    if (!totals) return fail(totals.error());
    result_.torn_bytes = totals->torn_bytes;
    return {};
  }

  Result<Verified> finish(const fs::path& log) {
    if (before_first_ && !before_was_dropped_) {
      return broken(
          log.string(),
          fmt::format("the records before {} are gone, and no record says that they were dropped", result_.first_seq));
    }
    if (head_ && head_->seq > result_.last_seq) {
      return broken(log.string(), fmt::format("the log was cut: it ends with record {}, and {} were written",
                                              result_.last_seq, head_->seq));
    }
    if (head_ && head_->seq != 0 && !head_was_met_)
      return broken(log.string(), fmt::format("record {} was changed", head_->seq));
    return result_;
  }

 private:
  Status on_line(const std::string& where, std::string_view line) {
    const auto record = parse_record(line);
    OpenFlows open;
    if (!record || (record->event == Event::rotated && !read_open_flows(*record, open))) {
      return broken(where, "is not an audit record");
    }
    Status next = result_.records == 0 ? begin(*record, where) : go_on(*record, where);
    if (!next) return next;
    ++result_.records;
    result_.last_seq = record->seq;
    hash_ = line_hash(line);
    if (record->event == Event::dropped) note_dropped(*record);
    if (record->event == Event::recovered && record->fields.contains("changed")) {
      return broken(where, "the record before it was changed, as the next start found");
    }
    if (head_ && head_->seq == record->seq) head_was_met_ = head_->hash == hash_;
    return {};
  }

  Status begin(const ParsedRecord& record, const std::string& where) {
    result_.first_seq = record.seq;
    if (record.seq > 1) {
      before_first_ = Head{record.seq - 1, record.prev};
    } else if (record.prev != kChainStart) {
      return broken(where, "the chain does not begin here");
    }
    return {};
  }

  Status go_on(const ParsedRecord& record, const std::string& where) const {
    if (record.prev != hash_) {
      return broken(where, "the chain breaks: the line before it was changed, removed or moved");
    }
    if (record.seq == result_.last_seq + 1) return {};
    if (record.event == Event::recovered && record.seq > result_.last_seq) {
      return broken(where, fmt::format("{} records before it are gone, as the next start found",
                                       record.seq - result_.last_seq - 1));
    }
    return broken(where, fmt::format("has seq {} behind {}", record.seq, result_.last_seq));
  }

  void note_dropped(const ParsedRecord& record) {
    const auto seq = record.fields.find("lastSeq");
    if (!before_first_ || seq == record.fields.end() || !seq->is_number_unsigned()) return;
    const Head dropped{seq->get<std::uint64_t>(), record.text("lastHash")};
    before_was_dropped_ = before_was_dropped_ || dropped == *before_first_;
  }

  std::optional<Head> head_;
  bool head_was_met_ = false;
  std::optional<Head> before_first_;  // where the chain came from before the oldest file that is left
  bool before_was_dropped_ = false;
  std::string hash_;
  Verified result_;
};

Result<Verified> verify_files(const fs::path& log, const std::vector<fs::path>& files) {
  auto head = read_head(log);
  if (!head) return fail(head.error());
  Verifier verifier(std::move(*head));
  for (const fs::path& file : files) {
    if (Status read = verifier.read(file); !read) return fail(read.error());
  }
  return verifier.finish(log);
}

}  // namespace

Result<Verified> verify(const fs::path& log) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    const auto files = log_files(log);
    if (!files) return fail(files.error());
    auto verified = verify_files(log, *files);
    if (verified || attempt == kAttempts) return verified;
    // A rotation in the middle of the reading looks like a gap.
    const auto after = log_files(log);
    if (!after || *after == *files) return verified;
  }
}

}  // namespace microagent::audit
