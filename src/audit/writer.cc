#include "audit/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "audit/chain.h"

namespace microagent::audit {
namespace {

// A log that is a link, a device or somebody else's file would let another user read or steer it.
Status check_file(int fd, const std::string& name) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno(errno, fmt::format("cannot examine {}", name));
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) {
    return fail(ErrorKind::permanent, fmt::format("{} is not a regular file of this user", name), "move it away");
  }
  if ((info.st_mode & 0777) != 0600 && ::fchmod(fd, 0600) != 0) {
    return fail_errno(errno, fmt::format("cannot make {} private", name));
  }
  return {};
}

// Writes all of it. On failure `written` says how much is in the file nevertheless.
Status write_all(int fd, std::string_view bytes, const std::string& name, std::size_t& written) {
  written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(fd, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("cannot write {}", name));
    written += static_cast<std::size_t>(count);
  }
  return {};
}

Result<Fd> open_private(const std::string& name, int access) {
  Fd file(::open(name.c_str(), access | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno(errno, fmt::format("cannot open {}", name));
  if (const Status status = check_file(file.get(), name); !status) return fail(status.error());
  return file;
}

}  // namespace

Writer::Writer(Fd file, std::string name, std::string workspace, Clock clock, Tail tail)
    : file_(std::move(file)),
      name_(std::move(name)),
      workspace_(std::move(workspace)),
      clock_(clock),
      last_seq_(tail.last_seq),
      last_flow_(tail.last_flow),
      prev_(std::move(tail.prev)),
      size_(tail.totals.whole_bytes),
      open_(std::move(tail.open)) {}

Result<Writer> Writer::open(const std::filesystem::path& log, std::string workspace, Clock clock) {
  auto file = open_private(log.string(), O_RDWR);
  if (!file) return fail(file.error());
  auto tail = read_tail(file->get(), log.string());
  if (!tail) return fail(tail.error());

  const std::uint64_t torn_bytes = tail->totals.torn_bytes;
  Writer writer(std::move(*file), log.string(), std::move(workspace), clock, std::move(*tail));
  if (torn_bytes != 0) {
    if (const Status status = writer.move_torn_line_aside(torn_bytes); !status) return fail(status.error());
  }
  if (const Status status = writer.close_open_flows(); !status) return fail(status.error());
  return writer;
}

Status Writer::write(Event event, std::uint64_t flow, const Fields& fields) {
  if (const Status status = drop_partial_line(); !status) return status;
  const std::string timestamp = clock_();
  const std::string line = encode_record({last_seq_ + 1, timestamp, event, workspace_, flow, prev_}, fields);
  if (const Status status = append(line); !status) return status;

  ++last_seq_;
  prev_ = line_hash(line);
  if (const auto closing = closing_event(event)) {
    const auto text = [&](const char* key) { return fields.value(key, std::string()); };
    open_[flow] = OpenFlow{*closing, text("host"), text("dst")};
  } else if (ends_flow(event)) {
    open_.erase(flow);
  }
  return {};
}

Status Writer::close_open_flows() {
  while (!open_.empty()) {
    const auto [flow, open] = *open_.begin();
    const Status status = write(open.closing, flow, {{"host", open.host}, {"dst", open.dst}, {"end", "lost"}});
    if (!status) return status;
  }
  return {};
}

Status Writer::move_torn_line_aside(std::uint64_t bytes) {
  const std::string aside_name = name_ + ".torn";
  const auto aside = open_private(aside_name, O_WRONLY);
  if (!aside) return fail(aside.error());
  std::string torn(bytes, '\0');
  const ssize_t count = ::pread(file_.get(), torn.data(), torn.size(), static_cast<off_t>(size_));
  if (count < 0) return fail_errno(errno, fmt::format("cannot read {}", name_));
  torn.resize(static_cast<std::size_t>(count));
  std::size_t written = 0;
  if (const Status status = write_all(aside->get(), torn + "\n", aside_name, written); !status) return status;

  partial_line_ = true;
  return write(Event::recovered, 0, {{"tornBytes", bytes}, {"movedTo", aside_name}});
}

// A line that was cut short by a full disk must not stay in front of the next one.
Status Writer::drop_partial_line() {
  if (!partial_line_) return {};
  if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) {
    return fail_errno(errno, fmt::format("cannot repair {}", name_));
  }
  partial_line_ = false;
  return {};
}

Status Writer::append(std::string_view line) {
  std::string bytes(line);
  bytes.push_back('\n');
  std::size_t written = 0;
  const Status status = write_all(file_.get(), bytes, name_, written);
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
