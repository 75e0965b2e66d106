#include "mediator/authority_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>

#include "base/fd.h"
#include "base/log.h"
#include "mediator/whole_file.h"

namespace microagent::mediator {
namespace {

constexpr std::size_t kMaxFile = 64 * 1024;

Status check_file(const Fd& fd) {
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0) return fail_errno(errno, "it cannot be looked at");
  if (!S_ISREG(facts.st_mode)) return fail(ErrorKind::permanent, "it is no file");
  if (facts.st_uid != ::geteuid()) return fail(ErrorKind::permanent, "it is somebody else's");
  if ((facts.st_mode & 077) != 0) return fail(ErrorKind::permanent, "others than its owner may use it");
  return {};
}

// Nothing: there is no file.
Result<std::optional<tls::Authority>> read_authority(const std::filesystem::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return fail_errno(errno, "it cannot be opened");
  if (Status good = check_file(fd); !good) return fail(good.error());
  const auto content = read_whole(fd, kMaxFile, "it cannot be read");
  if (!content) return fail(content.error());
  if (content->size() > kMaxFile) return fail(ErrorKind::permanent, "it is too long");
  auto authority = tls::Authority::parse(*content);
  if (!authority) return fail(authority.error());
  return std::optional<tls::Authority>(std::move(*authority));
}

// The name is there with all of the content or not at all.
Status write_authority(const std::filesystem::path& file, const tls::Authority& authority) {
  const std::string fresh = file.string() + ".new";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("cannot remove {}", fresh));
  const Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, fmt::format("cannot open {}", fresh));
  const std::string failing = fmt::format("cannot write {}", fresh);
  if (Status written = write_whole(fd, authority.pem(), failing); !written) return written;
  if (::fsync(fd.get()) != 0) return fail_errno(errno, failing);
  if (::rename(fresh.c_str(), file.c_str()) == 0) return {};
  return fail_errno(errno, fmt::format("cannot replace {}", file.string()));
}

}  // namespace

Result<tls::Authority> keep_authority(const std::filesystem::path& file, std::string_view workspace) {
  auto known = read_authority(file);
  if (known && *known) return std::move(**known);
  if (!known) {
    log_warning("the certificate authority in {} is replaced by a new one: {}", file.string(), known.error().message);
  }
  auto authority = tls::Authority::make(workspace);
  if (!authority) return authority;
  if (Status written = write_authority(file, *authority); !written) return fail(written.error());
  return authority;
}

Status forget_authority(const std::filesystem::path& file) {
  if (::unlink(file.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, fmt::format("cannot remove {}", file.string()));
}

}  // namespace microagent::mediator
