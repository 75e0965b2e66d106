#include "mediator/usage_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "mediator/whole_file.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxFile = 4 * 1024 * 1024;

tl::unexpected<Error> foreign(const std::filesystem::path& file) {
  return fail(ErrorKind::permanent, fmt::format("{} is not a record of what the caps were charged", file.string()),
              "move it away, or start with --reset-caps");
}

}  // namespace

Result<ChargedBytes> read_usage(const std::filesystem::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return ChargedBytes();
  if (!fd) return fail_errno(errno, fmt::format("cannot open {}", file.string()));
  const auto content = read_whole(fd, kMaxFile, fmt::format("cannot read {}", file.string()));
  if (!content) return fail(content.error());
  if (content->size() > kMaxFile) return foreign(file);
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
  if (Status written = write_whole(fd, json.dump() + "\n", fmt::format("cannot write {}", fresh)); !written)
    return written;
  if (::rename(fresh.c_str(), file.c_str()) != 0)
    return fail_errno(errno, fmt::format("cannot replace {}", file.string()));
  return {};
}

}  // namespace microagent::mediator
