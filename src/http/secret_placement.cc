#include "http/secret_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/percent.h"
#include "base/secret.h"
#include "http/content_decoder.h"
#include "http/grammar.h"

namespace microagent::http {
namespace {

constexpr std::string_view kBasic = "basic ";

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out.push_back(c);
    } else {
      const auto encoded = microagent::percent_encoded(c);
      out.append(encoded.begin(), encoded.end());
    }
  }
  return out;
}

// As a server reads the name of a parameter.
std::string form_decoded(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto decoded = microagent::percent_decoded(text);
    out.push_back(decoded ? *decoded : text.front() == '+' ? ' ' : text.front());
    text.remove_prefix(decoded ? 3 : 1);
  }
  return out;
}

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) ++count;
  return count;
}

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string out;
  for (;;) {
    const std::size_t at = text.find(what);
    out.append(text.substr(0, at));
    if (at == text.npos) return out;
    out.append(by);
    text.remove_prefix(at + what.size());
  }
}

// A form writes what it holds in its own way, and so may have written the placeholder.
std::string as_written(TextKind kind, std::string_view placeholder) {
  return kind == TextKind::form ? percent_encoded(placeholder) : std::string(placeholder);
}

bool holds(std::string_view text, std::string_view what) { return text.find(what) != text.npos; }

// User and password that a Basic credential is made of; nothing where the header holds another.
std::optional<std::string> basic_credential(const Header& header) {
  if (!same_word(header.name, "authorization") || header.value.size() < kBasic.size()) return std::nullopt;
  const std::string_view value = header.value;
  if (!same_word(value.substr(0, kBasic.size()), kBasic)) return std::nullopt;
  return decode_base64(trimmed(value.substr(kBasic.size())));
}

bool holds_placeholder(const Header& header, const std::string& placeholder) {
  if (!policy::may_hold_secret(header.name)) return false;
  if (holds(header.value, placeholder)) return true;
  const auto basic = basic_credential(header);
  return basic && holds(*basic, placeholder);
}

void replace_in_header(Header& header, const std::string& placeholder, std::string_view secret) {
  if (!holds_placeholder(header, placeholder)) return;
  if (holds(header.value, placeholder)) {
    header.value = replaced(header.value, placeholder, secret);
  } else {
    std::string credential = replaced(*basic_credential(header), placeholder, secret);
    const Wiped wiped(credential);
    header.value = "Basic " + base64(credential);
  }
  header.never_index = true;
}

bool put_header(RequestMessage& request, std::string name, std::string value) {
  const Wiped wiped(value);
  if (request.version == Version::http_2) name = to_lower_ascii(name);
  if (!set_header(request.headers, name, value)) return false;
  find_header(request.headers, name)->never_index = true;
  return true;
}

// In place of the first parameter of the name, or behind all others.
void put_parameter(std::string& target, const std::string& name, std::string_view secret) {
  if (target == "*") return;
  const std::string parameter = name + "=" + percent_encoded(secret);
  const std::size_t mark = std::min(target.find('?'), target.size());
  std::string query;
  bool done = false;
  const auto append = [&](std::string_view pair) { query.append(1, query.empty() ? '?' : '&').append(pair); };
  std::string_view rest = std::string_view(target).substr(mark);
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(pair.size());
    if (form_decoded(pair.substr(0, pair.find('='))) != name) {
      if (!pair.empty() || !rest.empty() || !query.empty()) append(pair);
    } else if (!std::exchange(done, true)) {
      append(parameter);
    }
  }
  if (!done) append(parameter);
  target = target.substr(0, mark) + query;
}

std::size_t head_size(const RequestMessage& request) {
  std::size_t size = request.target.size();
  for (const Header& header : request.headers) size += header.name.size() + header.value.size() + 4;
  return size;
}

}  // namespace

bool wants_secret(const RequestMessage& request, const policy::Placement& placement) {
  if (!placement.header.empty() || placement.basic_user || !placement.query.empty()) return true;
  return std::ranges::any_of(request.headers,
                             [&](const Header& header) { return holds_placeholder(header, placement.placeholder); });
}

bool place_secret(RequestMessage& request, const policy::Placement& placement, std::string_view secret) {
  if (!placement.placeholder.empty()) {
    for (Header& header : request.headers) replace_in_header(header, placement.placeholder, secret);
  }
  if (!placement.header.empty()) {
    if (!put_header(request, placement.header, placement.before + std::string(secret) + placement.after)) return false;
  } else if (placement.basic_user) {
    std::string credential = *placement.basic_user + ":" + std::string(secret);
    const Wiped wiped(credential);
    if (!put_header(request, "Authorization", "Basic " + base64(credential))) return false;
  } else if (!placement.query.empty()) {
    put_parameter(request.target, placement.query, secret);
  }
  return head_size(request) <= kMaxMessageHead;
}

void ask_readable(RequestMessage& request, const policy::Placement& placement) {
  for (const char* name : {"grpc-accept-encoding", "sec-websocket-extensions"}) remove_header(request.headers, name);
  if (placement.in_body) {
    for (const char* name : {"range", "if-range"}) remove_header(request.headers, name);
  }
  for (Header& header : request.headers) {
    if (!same_word(header.name, "accept-encoding")) continue;
    std::string kept;
    bool all = true;
    for (std::string_view list = header.value; !list.empty();) {
      const std::string_view word = take_list_word(list);
      const std::string_view coding = trimmed(word.substr(0, word.find(';')));
      if (coding.empty()) continue;
      // "*" would be any at all.
      const bool readable = parse_content_coding(coding) != ContentCoding::unknown;
      if (readable) kept.append(kept.empty() ? "" : ", ").append(word);
      all = all && readable;
    }
    if (!all) header.value = kept.empty() ? "identity" : kept;
  }
}

std::optional<TextKind> text_kind(const HeaderList& headers) {
  if (parse_content_coding(header_value(headers, "content-encoding")) != ContentCoding::identity) return std::nullopt;
  const std::string_view type = header_value(headers, "content-type");
  const std::string media = to_lower_ascii(trimmed(type.substr(0, type.find(';'))));
  if (media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))) {
    return TextKind::json;
  }
  if (media == "application/x-www-form-urlencoded") return TextKind::form;
  if (media == "application/x-ndjson" || media == "application/jsonl") return TextKind::json;
  if (media.starts_with("text/")) return TextKind::plain;
  return std::nullopt;
}

bool holds_placeholder(TextKind kind, std::string_view body, std::string_view placeholder) {
  return holds(body, placeholder) || holds(body, as_written(kind, placeholder));
}

std::optional<std::string> replace_in_body(TextKind kind, std::string_view body, std::string_view placeholder,
                                           std::string_view secret) {
  const std::string encoded = as_written(kind, placeholder);
  std::string value = kind == TextKind::json   ? json_escaped(secret)
                      : kind == TextKind::form ? percent_encoded(secret)
                                               : std::string(secret);
  const Wiped wiped(value);
  const std::size_t places = count_of(body, encoded) + (encoded == placeholder ? 0 : count_of(body, placeholder));
  if (body.size() + places * value.size() > kMaxGrownBody) return std::nullopt;
  std::string out = replaced(body, encoded, value);
  return encoded == placeholder ? out : replaced(out, placeholder, value);
}

}  // namespace microagent::http
