#include "policy/token_url.h"

#include <fmt/format.h>

#include <algorithm>

namespace microagent::policy {
namespace {

constexpr std::string_view kHttps = "https://", kHttp = "http://";
constexpr const char* kRemedy = "write https://HOST/PATH";

bool is_loopback(const Host& host) {
  if (const auto* name = std::get_if<std::string>(&host)) return *name == "localhost";
  const std::string text = to_string(host);
  return text == "::1" || text.starts_with("127.");
}

bool is_url_character(char c) {
  return c > 0x20 && c < 0x7f && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos;
}

}  // namespace

Result<TokenUrl> parse_token_url(std::string_view url) {
  const auto refuse = [](std::string_view why) { return fail(ErrorKind::usage, std::string(why), kRemedy); };
  TokenUrl parsed;
  parsed.tls = url.starts_with(kHttps);
  if (!parsed.tls && !url.starts_with(kHttp)) return refuse("is no https URL");
  url.remove_prefix(parsed.tls ? kHttps.size() : kHttp.size());
  if (!std::ranges::all_of(url, is_url_character)) return refuse("holds characters that no URL holds");
  if (url.find('#') != url.npos) return refuse("has a fragment");
  const std::size_t end = std::min(url.find_first_of("/?"), url.size());
  const std::string_view authority = url.substr(0, end);
  if (authority.find('@') != authority.npos) return refuse("names a user");
  const auto read = parse_authority(authority);
  if (!read) return refuse("names no host");
  if (!parsed.tls && !is_loopback(read->host)) return refuse("would send secrets without TLS");
  parsed.name = to_string(read->host);
  parsed.port = read->port.value_or(parsed.tls ? 443 : 80);
  parsed.authority = authority;
  parsed.target = url.substr(end);
  if (!parsed.target.starts_with('/')) parsed.target.insert(0, "/");
  return parsed;
}

}  // namespace microagent::policy
