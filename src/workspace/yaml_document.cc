#include "workspace/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>

#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace microagent::workspace {
namespace {

tl::unexpected<Error> not_yaml(std::string_view file, const YAML::Exception& error) {
  const int line = error.mark.is_null() ? 1 : error.mark.line + 1;
  return fail(ErrorKind::usage, fmt::format("{}:{}: is not YAML: {}", file, line, error.msg),
              "quote what begins with a special character, such as '*.example.com'");
}

// Where the documents of a text begin, with their first node.
class Beginnings final : public YAML::EventHandler {
 public:
  std::vector<YAML::Mark> marks;

 private:
  void OnDocumentStart(const YAML::Mark&) override { expected_ = true; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { note(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { note(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override { note(mark); }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    note(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    note(mark);
  }
  void OnMapEnd() override {}

  void note(const YAML::Mark& mark) {
    if (std::exchange(expected_, false)) marks.push_back(mark);
  }

  bool expected_ = false;
};

// The first two at most: where no document can begin, as with a comma, yaml-cpp 0.7 finds empty ones for ever.
std::vector<YAML::Mark> beginnings(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Beginnings found;
  while (found.marks.size() < 2 && parser.HandleNextDocument(found)) {
  }
  if (found.marks.size() == 2 && found.marks[0].pos == found.marks[1].pos) {
    throw YAML::ParserException(found.marks[0], "nothing can begin like this");
  }
  return found.marks;
}

}  // namespace

Status read_yaml_document(std::string_view text, std::string_view file,
                          const std::function<void(YamlReader&, const YamlValue&)>& read) {
  try {
    const std::string copy(text);
    const auto marks = beginnings(copy);
    const YAML::Node document = YAML::Load(copy);
    if (marks.empty() || document.IsNull()) {
      return fail(ErrorKind::usage, fmt::format("{}:1: is empty", file), "write at least one key");
    }
    if (marks.size() > 1) {
      return fail(ErrorKind::usage, fmt::format("{}:{}: a second document begins", file, marks[1].line + 1),
                  "keep one document a file");
    }
    YamlReader yaml(file);
    read(yaml, {document, "", document.Mark().line + 1});
    return yaml.status();
  } catch (const YAML::Exception& error) {
    return not_yaml(file, error);
  }
}

}  // namespace microagent::workspace
