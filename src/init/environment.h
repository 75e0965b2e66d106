#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "init/accounts.h"

namespace microagent::init {

using Environment = std::vector<std::string>;  // NAME=VALUE, every name once

// The variables that are the same for every user of the guest, the stronger ones last: what the image says, whom to
// trust, what the workspace declares.
Environment chosen_environment(const std::vector<std::string>& image, const std::vector<std::string>& trust,
                               const std::vector<std::string>& declared);
// What every command of the guest gets, the stronger ones last: our defaults, the user's own, what was chosen.
Environment workspace_environment(const Identity& identity, const Environment& chosen);

// Where both have a name, the addition wins.
Environment merge(Environment environment, const std::vector<std::string>& additions);

// The value of a variable, empty when there is none.
std::string_view value_of(const Environment& environment, std::string_view name);

// The files to try, in order, for a command's first word (execvp(3)): the word itself when it holds a slash.
std::vector<std::string> candidates(const std::string& word, const Environment& environment);

}  // namespace microagent::init
