#include "mediator/usage_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/fd.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxFile = 4 * 1024 * 1024;

tl::unexpected<Error> foreign(const std::filesystem::path& file) {
  return fail(ErrorKind::permanent, fmt::format("{} is not a record of what the caps were charged", file.string()),
              "move it away, or start with --reset-caps");
}

Result<std::string> read_whole(const Fd& fd, const std::filesystem::path& file) {
  std::string content;
  std::array<char, 16 * 1024> chunk{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("cannot read {}", file.string()));
    if (count == 0) return content;
    content.append(chunk.data(), static_cast<std::size_t>(count));
    if (content.size() > kMaxFile) return foreign(file);
  }
}

Status write_whole(const Fd& fd, std::string_view content, const std::string& name) {
  while (!content.empty()) {
    const ssize_t count = ::write(fd.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("cannot write {}", name));
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

Result<ChargedBytes> read_usage(const std::filesystem::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return ChargedBytes();
  if (!fd) return fail_errno(errno, fmt::format("cannot open {}", file.string()));
  const auto content = read_whole(fd, file);
  if (!content) return fail(content.error());
  const Json json = Json::parse(*content, nullptr, false);
  if (!json.is_object() || json.size() != 2 || json.value("version", Json()) != Json(1)) return foreign(file);
  const auto bytes = json.find("bytes");
  if (bytes == json.end() || !bytes->is_object()) return foreign(file);
  ChargedBytes charged;
  for (const auto& [key, value] : bytes->items()) {
    if (!value.is_number_unsigned()) return foreign(file);
    charged[key] = value.get<std::uint64_t>();
  }
  return charged;
}

Status write_usage(const std::filesystem::path& file, const ChargedBytes& charged) {
  Json json = Json::object();
  json["version"] = 1;
  json["bytes"] = charged;
  const std::string fresh = file.string() + ".new";
  const Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, fmt::format("cannot open {}", fresh));
  if (Status written = write_whole(fd, json.dump() + "\n", fresh); !written) return written;
  if (::rename(fresh.c_str(), file.c_str()) != 0)
    return fail_errno(errno, fmt::format("cannot replace {}", file.string()));
  return {};
}

}  // namespace microagent::mediator
