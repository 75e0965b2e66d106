#include "init/environment.h"

#include <algorithm>

#include "init/text.h"

namespace microagent::init {
namespace {

constexpr const char* kDefaults[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
};

std::string_view name_of(std::string_view variable) { return variable.substr(0, variable.find('=')); }

}  // namespace

Environment merge(Environment environment, const std::vector<std::string>& additions) {
  for (const std::string& addition : additions) {
    const auto same = std::ranges::find(environment, name_of(addition), name_of);
    if (same != environment.end()) *same = addition;
    else environment.push_back(addition);
  }
  return environment;
}

Environment chosen_environment(const std::vector<std::string>& image, const std::vector<std::string>& trust,
                               const std::vector<std::string>& declared) {
  return merge(merge(merge({}, image), trust), declared);
}

Environment workspace_environment(const Identity& identity, const Environment& chosen) {
  Environment environment(std::begin(kDefaults), std::end(kDefaults));
  environment.push_back(concat("HOME=", identity.home));
  environment.push_back(concat("USER=", identity.name));
  return merge(std::move(environment), chosen);
}

std::string_view value_of(const Environment& environment, std::string_view name) {
  const auto found = std::ranges::find(environment, name, name_of);
  if (found == environment.end()) return {};
  return std::string_view(*found).substr(name.size() + 1);
}

std::vector<std::string> candidates(const std::string& word, const Environment& environment) {
  if (word.empty() || word.find('/') != std::string::npos) return {word};
  std::vector<std::string> files;
  std::string_view path = value_of(environment, "PATH");
  for (;;) {
    const std::size_t end = path.find(':');
    const std::string_view directory = path.substr(0, end);
    // An empty entry is the working directory.
    files.push_back(concat(directory.empty() ? std::string_view(".") : directory, "/", word));
    if (end == std::string_view::npos) return files;
    path.remove_prefix(end + 1);
  }
}

}  // namespace microagent::init
