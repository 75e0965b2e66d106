#include "http/framing.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/check.h"
#include "http/grammar.h"

namespace microagent::http {
namespace {

constexpr std::string_view kLength = "content-length", kCoding = "transfer-encoding", kHost = "host";

// CGI and its heirs read '_' and '-' as the same, and some servers skip what they take for white space.
bool looks_like(std::string_view name, std::string_view other) {
  const auto same = [](char x, char y) { return lower(x) == y || (x == '_' && y == '-'); };
  return std::ranges::equal(name, other, same) && !same_word(name, other);
}

MessageFault check_names(const HeaderList& headers) {
  for (const Header& header : headers) {
    if (looks_like(header.name, kLength) || looks_like(header.name, kCoding)) return MessageFault::look_alike;
  }
  for (const std::string_view name : {kLength, kCoding, kHost}) {
    if (lists_word(headers, "connection", name)) return MessageFault::connection_names_framing;
  }
  return MessageFault::none;
}

// What holds for requests and responses alike.
MessageFault check_framing(const HeaderList& headers, Version version) {
  if (const MessageFault fault = check_names(headers); fault != MessageFault::none) return fault;
  const std::size_t lengths = count_headers(headers, kLength), codings = count_headers(headers, kCoding);
  if (codings > 0) {
    if (lengths > 0) return MessageFault::length_and_coding;
    if (version == Version::http_1_0) return MessageFault::coding_not_allowed;
    if (codings > 1 || !same_word(header_value(headers, kCoding), "chunked")) return MessageFault::unknown_coding;
  }
  if (lengths > 1) return MessageFault::several_lengths;
  if (lengths == 1 && !parse_length(header_value(headers, kLength))) return MessageFault::bad_length;
  return MessageFault::none;
}

bool is_hiding_protocol(std::string_view protocol) {
  const std::string_view name = protocol.substr(0, protocol.find('/'));
  return same_word(name, "http") || same_word(name, "tls") || same_word(name, "h2") || same_word(name, "h3") ||
         (name.size() > 2 && same_word(name.substr(0, 3), "h2c"));
}

// Lists without any of those words stay as they came; those without any other go.
template <typename Condemned>
void remove_words(HeaderList& headers, std::string_view name, Condemned is_condemned) {
  const auto is_emptied = [&](Header& header) {
    if (!same_word(header.name, name)) return false;
    std::string left;
    bool found = false;
    for (std::string_view list = header.value; !list.empty();) {
      const std::string_view word = take_list_word(list);
      found = found || is_condemned(word);
      if (word.empty() || is_condemned(word)) continue;
      left.append(left.empty() ? "" : ", ").append(word);
    }
    if (found) header.value = std::move(left);
    return found && header.value.empty();
  };
  std::erase_if(headers, is_emptied);
}

bool wishes_hiding_upgrade(const HeaderList& headers) {
  for (const Header& header : headers) {
    if (!same_word(header.name, "upgrade")) continue;
    for (std::string_view list = header.value; !list.empty();) {
      if (is_hiding_protocol(take_list_word(list))) return true;
    }
  }
  return find_header(headers, "http2-settings") != nullptr;
}

std::uint64_t sound_length(const HeaderList& headers) {
  const auto length = parse_length(header_value(headers, kLength));
  MICROAGENT_CHECK(length.has_value());
  return *length;
}

Framing of_length(std::uint64_t length) { return length == 0 ? Framing{} : Framing{Framing::Kind::length, length}; }

bool has_no_body(std::uint16_t status) { return status < 200 || status == 204; }

}  // namespace

MessageFault parse_header_line(std::string_view line, Header& out) {
  if (line.empty()) return MessageFault::bad_header;
  if (is_blank(line.front())) return MessageFault::folded_header;
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return MessageFault::bad_header;
  out.name = line.substr(0, colon);
  out.value = trimmed(line.substr(colon + 1));
  return MessageFault::none;
}

std::optional<std::uint64_t> parse_length(std::string_view text) {
  // A leading zero is octal to some.
  if (text.empty() || (text.size() > 1 && text.front() == '0') || !std::ranges::all_of(text, is_digit)) {
    return std::nullopt;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

void ignore_hiding_upgrades(HeaderList& headers) {
  constexpr std::string_view kUpgrade = "upgrade", kSettings = "http2-settings";
  const bool asked = find_header(headers, kUpgrade) != nullptr;
  remove_words(headers, kUpgrade, is_hiding_protocol);
  const bool ignored = asked && find_header(headers, kUpgrade) == nullptr;
  const bool had_settings = remove_header(headers, kSettings) > 0;
  if (!ignored && !had_settings) return;
  remove_words(headers, "connection", [&](std::string_view word) {
    return (ignored && same_word(word, kUpgrade)) || same_word(word, kSettings);
  });
}

MessageFault check_request_framing(const RequestMessage& request) {
  if (const MessageFault fault = check_framing(request.headers, request.version); fault != MessageFault::none) {
    return fault;
  }
  const bool hides = wishes_hiding_upgrade(request.headers) || is_hiding_protocol(request.protocol);
  return hides ? MessageFault::http_upgrade : MessageFault::none;
}

MessageFault check_response_framing(const ResponseMessage& response) {
  if (const MessageFault fault = check_framing(response.headers, response.version); fault != MessageFault::none) {
    return fault;
  }
  if (!has_no_body(response.status)) return MessageFault::none;
  if (find_header(response.headers, kCoding) != nullptr) return MessageFault::coding_not_allowed;
  // A length of 0 is wrong, too, but common, and says nothing else.
  const Header* length = find_header(response.headers, kLength);
  if (length != nullptr && length->value != "0") return MessageFault::length_not_allowed;
  return MessageFault::none;
}

Framing request_framing(const RequestMessage& request) {
  if (find_header(request.headers, kCoding) != nullptr) return {Framing::Kind::chunked, 0};
  if (find_header(request.headers, kLength) == nullptr) return {};
  return of_length(sound_length(request.headers));
}

Framing response_framing(const RequestMessage& request, const ResponseMessage& response) {
  if (response.status == 101) return {Framing::Kind::tunnel, 0};
  if (request.method == "HEAD" || has_no_body(response.status) || response.status == 304) return {};
  if (find_header(response.headers, kCoding) != nullptr) return {Framing::Kind::chunked, 0};
  if (find_header(response.headers, kLength) == nullptr) return {Framing::Kind::until_close, 0};
  return of_length(sound_length(response.headers));
}

MessageFault check_response(const RequestMessage& request, const ResponseMessage& response) {
  if (response.status != 101) return MessageFault::none;
  const std::string_view protocol = header_value(response.headers, "upgrade");
  const bool is_asked = asks_upgrade(request) && count_headers(response.headers, "upgrade") == 1 &&
                        lists_word(response.headers, "connection", "upgrade") && !protocol.empty() &&
                        lists_word(request.headers, "upgrade", protocol);
  return is_asked ? MessageFault::none : MessageFault::unasked_upgrade;
}

}  // namespace microagent::http
