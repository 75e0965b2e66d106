#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "workspace/yaml_reader.h"

namespace microagent::workspace {

// Parses a text that must be one YAML document with something in it, and calls `read` with its root. The first thing
// wrong, with the text or by the reader's judgement, is the error (usage), which says FILE:LINE.
Status read_yaml_document(std::string_view text, std::string_view file,
                          const std::function<void(YamlReader&, const YamlValue&)>& read);

}  // namespace microagent::workspace
