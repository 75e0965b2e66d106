#include "image/reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"

namespace microagent::image {
namespace {

constexpr std::size_t kMaxReference = 1024;

bool is_one_of(char c, std::string_view more) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != std::string_view::npos;
}

bool consists_of(std::string_view text, std::string_view more) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) { return is_one_of(c, more); });
}

constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

tl::unexpected<Error> not_an_image(std::string_view text, std::string_view why) {
  return fail(ErrorKind::usage, fmt::format("\"{}\" names no image: {}", text, why),
              "give NAME[:TAG], docker://NAME, oci:DIRECTORY[:TAG] or docker-archive:FILE");
}

// The first component is a host when it could not be anything else.
bool is_host(std::string_view component) {
  return component == "localhost" || component.find_first_of(".:") != std::string_view::npos;
}

bool is_loopback(std::string_view host) {
  host = host.substr(0, host.find(':'));
  return host == "localhost" || (host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos);
}

bool is_path(std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (!consists_of(component, "._-") || !is_one_of(component.front(), "") || !is_one_of(component.back(), "")) {
      return false;
    }
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

bool is_tag(std::string_view tag) {
  constexpr std::size_t kMaxTag = 128;
  const std::string more = std::string(kUpper) + "._-";
  return tag.size() <= kMaxTag && consists_of(tag, more) && tag.front() != '.' && tag.front() != '-';
}

Result<Reference> parse_registry(std::string_view text, std::string_view whole) {
  std::string_view rest = text, digest, tag;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!digits_of_digest(digest)) return not_an_image(whole, "its digest is not sha256 and 64 hexadecimal digits");
  }
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.find('/', colon) == std::string_view::npos) {
    tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_tag(tag)) return not_an_image(whole, "its tag is none");
  }
  std::string host = "docker.io", path(rest);
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos && is_host(rest.substr(0, slash))) {
    host = rest.substr(0, slash);
    path = rest.substr(slash + 1);
    if (!consists_of(host, std::string(kUpper) + ".-:")) return not_an_image(whole, "its host is none");
  } else if (slash == std::string_view::npos) {
    path = fmt::format("library/{}", rest);
  }
  if (!is_path(path)) {
    return not_an_image(whole, "a name has lower-case letters, digits, and . _ - between them");
  }
  Reference reference;
  reference.repository = fmt::format("{}/{}", host, path);
  // A digest says more than a tag, and skopeo takes only one of them.
  reference.name = !digest.empty() ? fmt::format("{}@{}", reference.repository, digest)
                                   : fmt::format("{}:{}", reference.repository, tag.empty() ? "latest" : tag);
  if (!digest.empty()) reference.pin = *digits_of_digest(digest);
  reference.source = "docker://" + reference.name;
  reference.loopback = is_loopback(host);
  return reference;
}

Result<Reference> parse_local(Transport transport, std::string_view path, std::string_view text) {
  if (!path.starts_with('/')) return not_an_image(text, "it has no path");
  Reference reference;
  reference.transport = transport;
  reference.name = reference.source = text;
  return reference;
}

}  // namespace

Result<Reference> parse_reference(std::string_view text) {
  constexpr std::string_view kDocker = "docker://", kOci = "oci:", kArchive = "docker-archive:";
  if (text.empty()) return not_an_image(text, "it is empty");
  if (text.size() > kMaxReference) return not_an_image(text.substr(0, 100), "it is too long");
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; })) {
    return not_an_image(text, "it holds spaces or control characters");
  }
  if (text.starts_with(kOci)) return parse_local(Transport::oci_layout, text.substr(kOci.size()), text);
  if (text.starts_with(kArchive)) return parse_local(Transport::docker_archive, text.substr(kArchive.size()), text);
  if (text.starts_with(kDocker)) return parse_registry(text.substr(kDocker.size()), text);
  return parse_registry(text, text);
}

}  // namespace microagent::image
