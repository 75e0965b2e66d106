#include "image/puller.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "image/sha256.h"
#include "image/tool.h"
#include "workspace/files.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxDocument = 8 * 1024 * 1024;
constexpr const char* kPlatform[] = {"--override-os", "linux", "--override-arch", "amd64"};

// A registry on this host may do without TLS, as with docker.
void add_tls(const Reference& reference, const char* flag, std::vector<std::string>& words) {
  if (reference.loopback) words.push_back(fmt::format("{}=false", flag));
}

Result<std::string> run_skopeo(const Reference& reference, const std::vector<std::string>& words) {
  auto output = run_tool("skopeo", words);
  if (output || output.error().kind == ErrorKind::not_found) return output;
  return fail(pull_error(reference, output.error().message));
}

// The text between the first msg=" and its closing quote, with \" made plain.
std::string message_of(std::string_view complaint) {
  constexpr std::string_view kBegin = "msg=\"";
  const std::size_t begin = complaint.find(kBegin);
  if (begin == std::string_view::npos) return std::string(complaint);
  std::string text;
  for (std::size_t i = begin + kBegin.size(); i < complaint.size() && complaint[i] != '"'; ++i) {
    if (complaint[i] == '\\' && i + 1 < complaint.size()) ++i;
    text += complaint[i];
  }
  return text;
}

tl::unexpected<Error> wrong_content(std::string_view what) {
  return fail(ErrorKind::transient, fmt::format("{} is not what its digest says", what),
              "try again: the image may have been replaced meanwhile");
}

Result<std::string> read_checked(const fs::path& file, const std::string& digest, std::string_view what) {
  auto text = workspace::read_file(file, kMaxDocument);
  if (!text) return text;
  if (sha256(*text) != digest) return wrong_content(what);
  return text;
}

bool is_of_word(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
         letter == '_' || letter == '-';
}

// Takes a name out of a text, where it is no part of a longer word and stands behind `before`.
void remove_name(std::string& text, std::string_view name, std::string_view before = "") {
  if (name.empty()) return;
  for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
    const std::size_t end = at + name.size();
    const bool part = (at > 0 && is_of_word(text[at - 1])) || (end < text.size() && is_of_word(text[end]));
    if (!part && std::string_view(text).substr(0, at).ends_with(before)) text.erase(at, name.size());
    else ++at;
  }
}

// skopeo's own words: without what the image, its registry or its file is called, which may be any words.
std::string own_words(const Reference& reference, std::string text) {
  const std::string_view repository = reference.repository;
  const std::size_t host = repository.find('/');
  // The longest first. A path is repeated without its transport, and without what stands behind it.
  remove_name(text, reference.name);
  remove_name(text, repository);
  remove_name(text, repository.substr(0, host));
  // Without its registry it stands in addresses only; as a word it would be one of theirs.
  if (host != std::string_view::npos) remove_name(text, repository.substr(host + 1), "/");
  if (reference.transport == Transport::registry) return text;
  const std::string_view path = std::string_view(reference.name).substr(reference.name.find(':') + 1);
  remove_name(text, path);
  remove_name(text, path.substr(0, path.find(':')));
  return text;
}

class Complaint {
 public:
  explicit Complaint(std::string words) : words_(std::move(words)) {}
  bool says(std::initializer_list<std::string_view> any) const {
    return std::ranges::any_of(any, [&](std::string_view word) { return words_.find(word) != std::string::npos; });
  }
  // As an error of a file of this host ends: a registry may deny by the same words, but behind no call and path.
  bool is_of_file(bool local) const {
    constexpr std::string_view kDenied = ": permission denied";
    if (!words_.ends_with(kDenied)) return false;
    if (local) return true;
    const std::string_view rest = std::string_view(words_).substr(0, words_.size() - kDenied.size());
    const std::size_t before = rest.rfind(": ");
    const std::string_view call = before == std::string_view::npos ? rest : rest.substr(before + 2);
    const std::size_t path = call.find(' ');
    return path != std::string_view::npos && call.substr(path).starts_with(" /");
  }

 private:
  std::string words_;
};

// What may be wrong on this host, wherever the image comes from.
std::optional<Error> host_error(const Complaint& complaint, bool local, const std::string& message) {
  if (complaint.says({"no space left on device"})) {
    return Error{ErrorKind::resource_exhausted, message, "free some disk space"};
  }
  if (!complaint.is_of_file(local)) return std::nullopt;
  return Error{ErrorKind::permanent, message, "let your user read and write what the message names"};
}

Error local_error(const Complaint& complaint, const std::string& message) {
  if (complaint.says({"no such file", "not found", "no descriptor found", "does not exist"})) {
    return {ErrorKind::not_found, message, "check the path and the tag"};
  }
  return {ErrorKind::permanent, message, "check that the image is whole, and make it again if it is not"};
}

}  // namespace

Error pull_error(const Reference& reference, std::string_view text) {
  const std::string said = message_of(text);
  const std::string message = fmt::format("cannot pull {}: {}", reference.name, said);
  const Complaint complaint(own_words(reference, said));
  const bool local = reference.transport != Transport::registry;
  if (auto error = host_error(complaint, local, message)) return std::move(*error);
  if (local) return local_error(complaint, message);
  const auto says = [&](std::initializer_list<std::string_view> words) { return complaint.says(words); };
  if (says({"unauthorized", "authentication required", "denied"})) {
    return {ErrorKind::policy_denied, message, "check the name; if the image is private, log in: skopeo login HOST"};
  }
  if (says({"manifest unknown", "name unknown", "status 404"})) {
    return {ErrorKind::not_found, message, "check the name and the tag"};
  }
  if (says({"http: server gave HTTP response to HTTPS client", "certificate"})) {
    return {ErrorKind::permanent, message,
            "give the registry's certificate in /etc/containers/certs.d, or say `insecure = true` for it in "
            "~/.config/containers/registries.conf"};
  }
  if (says({"connection refused", "timeout", "no such host", "connection reset", "unreachable", "EOF", "status 5",
            "too many requests", "toomanyrequests"})) {
    return {ErrorKind::transient, message, "check that the registry can be reached, and try again"};
  }
  return {ErrorKind::permanent, message, "see the message"};
}

Result<std::string> resolve_digest(const Reference& reference) {
  std::vector<std::string> words(std::begin(kPlatform), std::end(kPlatform));
  words.insert(words.end(), {"inspect", "--raw"});
  add_tls(reference, "--tls-verify", words);
  words.push_back(reference.source);
  const auto raw = run_skopeo(reference, words);
  if (!raw) return raw;
  // What skopeo gives here it has compared with nothing.
  if (!reference.pin.empty() && sha256(*raw) != reference.pin) {
    return fail(ErrorKind::permanent,
                fmt::format("{} is something else in its registry, of digest sha256:{}", reference.name, sha256(*raw)),
                "do not trust that registry, or a mirror of it that registries.conf names");
  }
  const auto picked = pick_from_list(*raw);
  if (!picked) return fail(with_context(picked.error(), reference.name));
  return *picked ? **picked : sha256(*raw);
}

Result<PulledImage> pull(const Reference& reference, const std::string& digest, const fs::path& directory) {
  std::vector<std::string> words(std::begin(kPlatform), std::end(kPlatform));
  words.insert(words.end(), {"copy", "--quiet"});
  add_tls(reference, "--src-tls-verify", words);
  // By digest, so that a tag that moves meanwhile changes nothing.
  words.push_back(reference.transport == Transport::registry
                      ? fmt::format("docker://{}@sha256:{}", reference.repository, digest)
                      : reference.source);
  words.push_back("dir:" + directory.string());
  if (const auto copied = run_skopeo(reference, words); !copied) return fail(copied.error());

  const auto text = read_checked(directory / "manifest.json", digest, "the image's manifest");
  if (!text) return fail(text.error());
  const auto manifest = parse_image_manifest(*text);
  if (!manifest) return fail(with_context(manifest.error(), reference.name));
  const auto config = read_checked(directory / manifest->config, manifest->config, "the image's configuration");
  if (!config) return fail(config.error());
  auto defaults = parse_image_config(*config);
  if (!defaults) return fail(with_context(defaults.error(), reference.name));
  PulledImage image{std::move(*defaults), {}};
  image.defaults.digest = "sha256:" + digest;
  for (const std::string& layer : manifest->layers) {
    const fs::path file = directory / layer;
    const auto found = sha256_of_file(file);
    if (!found) return fail(found.error());
    if (*found != layer) return wrong_content(fmt::format("the layer {}", layer));
    image.layers.push_back(file);
  }
  return image;
}

}  // namespace microagent::image
