#include "credentials/sources.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace microagent::credentials {
namespace {

using Scheme = policy::SecretRef::Scheme;

Result<Secret> read_file(const std::string& path) {
  // A FIFO or a device would keep everybody waiting.
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return fail_errno(errno, "cannot open it");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return fail(ErrorKind::usage, "is no file");
  Secret buffer(kMaxSecret + 2);
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t count = ::read(file.get(), buffer.bytes().data() + size, buffer.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read it");
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  buffer.cut(size);
  trim_line_end(buffer);
  if (buffer.size() > kMaxSecret) return fail(ErrorKind::usage, fmt::format("holds more than {} bytes", kMaxSecret));
  return buffer;
}

// {"data":{"data":{FIELD:VALUE}}} (Vault's HTTP API, KV version 2).
Result<Secret> field_of(const Secret& body, const std::string& field) {
  nlohmann::json json = nlohmann::json::parse(body.view(), nullptr, false);
  for (const char* key : {"data", "data"}) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    if (!json.is_object() || found == json.end()) return fail(ErrorKind::permanent, "the vault's answer holds no data");
    json = nlohmann::json(std::move(*found));
  }
  const auto value = json.is_object() ? json.find(field) : json.end();
  if (!json.is_object() || value == json.end() || !value->is_string()) {
    return fail(ErrorKind::not_found, "the vault's secret has no such field");
  }
  std::string& text = value->get_ref<std::string&>();
  const Wiped wiped(text);
  return Secret::of(text);
}

}  // namespace

void trim_line_end(Secret& secret) {
  if (secret.view().ends_with('\n')) secret.cut(secret.size() - 1);
  if (secret.view().ends_with('\r')) secret.cut(secret.size() - 1);
}

Result<Secret> Sources::variable(const std::string& name) const {
  const Secret* value = variables_.find(name);
  if (value == nullptr || value->empty()) {
    return fail(ErrorKind::not_found, fmt::format("the variable {} was not set when the workspace was started", name),
                "set it and start the workspace again");
  }
  return value->clone();
}

asio::awaitable<Result<Secret>> Sources::read(const policy::SecretRef& ref) const {
  Result<Secret> secret = fail(ErrorKind::permanent, "");
  switch (ref.scheme) {
    case Scheme::env: secret = variable(ref.target); break;
    case Scheme::file: secret = read_file(ref.target); break;
    case Scheme::vault: secret = co_await read_vault(ref); break;
    case Scheme::helper: secret = co_await helper_.run(ref.target); break;
  }
  if (!secret) co_return fail(with_context(secret.error(), to_string(ref)));
  if (secret->empty()) co_return fail(ErrorKind::permanent, fmt::format("{}: is empty", to_string(ref)));
  if (secret->size() > kMaxSecret) co_return fail(ErrorKind::permanent, fmt::format("{}: is too long", to_string(ref)));
  co_return secret;
}

asio::awaitable<Result<Secret>> Sources::read_vault(const policy::SecretRef& ref) const {
  const auto address = variable("VAULT_ADDR");
  if (!address) co_return fail(address.error());
  const auto token = variable("VAULT_TOKEN");
  if (!token) co_return fail(token.error());
  std::string base(address->view());
  while (base.ends_with('/')) base.pop_back();
  auto url = policy::parse_token_url(base + "/v1/" + ref.target);
  if (!url) co_return fail(with_context(url.error(), "VAULT_ADDR"));
  FetchRequest request;
  request.url = std::move(*url);
  request.headers.push_back({"X-Vault-Token", token->clone()});
  if (const Secret* name_space = variables_.find("VAULT_NAMESPACE"); name_space != nullptr && !name_space->empty()) {
    request.headers.push_back({"X-Vault-Namespace", name_space->clone()});
  }
  const auto response = co_await fetcher_->fetch(std::move(request));
  if (!response) co_return fail(response.error());
  if (response->status != 200) {
    co_return fail(ErrorKind::transient, fmt::format("the vault answered with status {}", response->status));
  }
  co_return field_of(response->body, ref.field);
}

}  // namespace microagent::credentials
