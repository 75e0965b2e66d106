#include "audit/head.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "audit/log_files.h"

namespace microagent::audit {
namespace {

// "00000000000000000042 <64 hexadecimal digits>\n": always as long, so that one write replaces the whole.
constexpr std::size_t kDigits = 20, kHash = 64, kSize = kDigits + 1 + kHash + 1;

bool is_hash(std::string_view text) {
  return text.size() == kHash && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<Head> parse_head(std::string_view text) {
  if (text.size() != kSize || text[kDigits] != ' ' || text.back() != '\n') return std::nullopt;
  Head head;
  const auto [end, error] = std::from_chars(text.data(), text.data() + kDigits, head.seq);
  head.hash = std::string(text.substr(kDigits + 1, kHash));
  if (error != std::errc() || end != text.data() + kDigits || !is_hash(head.hash)) return std::nullopt;
  return head;
}

}  // namespace

Result<std::optional<Head>> read_head(const std::filesystem::path& log) {
  const std::string name = head_file(log).string();
  const Fd file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) return fail_errno(errno, fmt::format("cannot open {}", name));
  std::array<char, kSize + 1> text{};
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  if (size < 0) return fail_errno(errno, fmt::format("cannot read {}", name));
  if (size == 0) return std::nullopt;
  auto head = parse_head(std::string_view(text.data(), static_cast<std::size_t>(size)));
  if (!head) return fail(ErrorKind::permanent, fmt::format("{} is not the head of an audit log", name), "move it away");
  return head;
}

Result<HeadFile> HeadFile::open(const std::filesystem::path& log) {
  auto file = open_private(head_file(log), O_WRONLY);
  if (!file) return fail(file.error());
  return HeadFile(std::move(*file), head_file(log));
}

Status HeadFile::write(const Head& head) const {
  const std::string text = fmt::format("{:020} {}\n", head.seq, head.hash);
  const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), 0);
  if (written == static_cast<ssize_t>(text.size())) return {};
  return fail_errno(written < 0 ? errno : ENOSPC, fmt::format("cannot write {}", name_.string()));
}

}  // namespace microagent::audit
