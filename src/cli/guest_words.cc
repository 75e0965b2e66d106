#include "cli/guest_words.h"

#include <algorithm>
#include <iterator>

namespace microagent::cli {
namespace {

using Words = std::vector<std::string>;

const CLI::Option* find_option(const CLI::App& app, const std::string& name) {
  const auto options = app.get_options([&](const CLI::Option* option) { return option->check_name(name); });
  return options.empty() ? nullptr : options[0];
}

// Whether the word behind this one is its value: --memory 512, but not --memory=512, -p8080:80 or --json.
bool takes_next(const CLI::App& app, const CLI::App& command, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  if (!word.starts_with("--") && word.size() > 2) return false;
  const CLI::Option* option = find_option(command, word);
  if (option == nullptr) option = find_option(app, word);
  return option != nullptr && option->get_expected_min() > 0;
}

// Where `run`'s command begins: behind the image.
Words::iterator find_command(const CLI::App& app, const CLI::App& command, Words::iterator word, Words::iterator end) {
  bool image_is_behind = false;
  for (; word != end; ++word) {
    if (*word == "--") return word;
    if (word->starts_with('-') && word->size() > 1) {
      if (takes_next(app, command, *word) && std::next(word) != end) ++word;
      continue;
    }
    if (image_is_behind) return word;
    image_is_behind = true;
  }
  return end;
}

// The command's own word; options that stand before it may have values.
Words::iterator find_subcommand(const CLI::App& app, Words& words) {
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (!word->starts_with('-')) return word;
    if (takes_next(app, app, *word) && std::next(word) != words.end()) ++word;
  }
  return words.end();
}

}  // namespace

Words cut_off_guest_words(const CLI::App& app, Words& words) {
  const auto subcommand = find_subcommand(app, words);
  if (subcommand == words.end()) return {};
  auto start = words.end();
  if (*subcommand == "exec" || *subcommand == "create") start = std::find(std::next(subcommand), words.end(), "--");
  if (*subcommand == "run") {
    start = find_command(app, *app.get_subcommand("run"), std::next(subcommand), words.end());
  }
  if (start == words.end()) return {};
  Words behind(*start == "--" ? std::next(start) : start, words.end());
  words.erase(start, words.end());
  return behind;
}

}  // namespace microagent::cli
