#include "cli/copy_path.h"

#include "workspace/state.h"

namespace microagent::cli {

CopyPath parse_copy_path(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !workspace::check_name(text.substr(0, colon))) {
    return HostPath{std::string(text)};
  }
  const std::string_view path = text.substr(colon + 1);
  return GuestPath{std::string(text.substr(0, colon)), (path.starts_with('/') ? "" : "/") + std::string(path)};
}

Result<Copy> plan_copy(std::string_view source, std::string_view destination) {
  const CopyPath from = parse_copy_path(source), to = parse_copy_path(destination);
  const auto* guest_from = std::get_if<GuestPath>(&from);
  const auto* guest_to = std::get_if<GuestPath>(&to);
  if (guest_from != nullptr && guest_to != nullptr) {
    return fail(ErrorKind::usage, "both ends are a workspace's",
                "copy over a pipe: microagent cp ONE:/path - | microagent cp - OTHER:/path");
  }
  if (guest_from == nullptr && guest_to == nullptr) {
    return fail(ErrorKind::usage, "neither end is a workspace's", "write NAME:/path for the one in the guest");
  }
  const bool to_guest = guest_to != nullptr;
  HostPath host = std::get<HostPath>(to_guest ? from : to);
  if (host.path.empty()) return fail(ErrorKind::usage, "the path of the host is empty", "write . for this directory");
  return Copy{to_guest ? *guest_to : *guest_from, std::move(host), to_guest};
}

}  // namespace microagent::cli
