#include "workspace/route.h"

#include <fmt/format.h>

#include <vector>

namespace microagent::workspace {
namespace {

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) return words;
    text.remove_prefix(start);
    words.push_back(text.substr(0, text.find(' ')));
    text.remove_prefix(words.back().size());
  }
}

}  // namespace

std::optional<Route> parse_route(std::string_view text) {
  const auto words = split_words(text);
  if (words.size() != 3 || words[1] != "via") return std::nullopt;
  const auto to = parse_ipv4_prefix(words[0] == "default" ? "0.0.0.0/0" : words[0]);
  const auto via = parse_ipv4(words[2]);
  if (!to || !via) return std::nullopt;
  return Route{*to, *via};
}

std::string to_text(const Route& route) {
  return fmt::format("{}/{} via {}", to_text(route.to.address), route.to.length, to_text(route.via));
}

}  // namespace microagent::workspace
