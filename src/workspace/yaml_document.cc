#include "workspace/yaml_document.h"

#include <fmt/format.h>

#include <string>

namespace microagent::workspace {
namespace {

tl::unexpected<Error> not_yaml(std::string_view file, const YAML::Exception& error) {
  const int line = error.mark.is_null() ? 1 : error.mark.line + 1;
  return fail(ErrorKind::usage, fmt::format("{}:{}: is not YAML: {}", file, line, error.msg),
              "quote what begins with a special character, such as '*.example.com'");
}

}  // namespace

Status read_yaml_document(std::string_view text, std::string_view file,
                          const std::function<void(YamlReader&, const YamlValue&)>& read) {
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    if (documents.empty() || documents[0].IsNull()) {
      return fail(ErrorKind::usage, fmt::format("{}:1: is empty", file), "write at least one key");
    }
    if (documents.size() > 1) {
      return fail(ErrorKind::usage, fmt::format("{}:{}: a second document begins", file, documents[1].Mark().line + 1),
                  "keep one document a file");
    }
    YamlReader yaml(file);
    read(yaml, {documents[0], "", documents[0].Mark().line + 1});
    return yaml.status();
  } catch (const YAML::Exception& error) {
    return not_yaml(file, error);
  }
}

}  // namespace microagent::workspace
