// microagent spec validate

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/create.h"
#include "cli/describe.h"
#include "workspace/records.h"

namespace microagent::cli {
namespace {

struct NoOptions {};

struct ValidateOptions {
  std::string file;
};

// A spec without a name is one, too: `create` may be given it.
constexpr const char* kSomeName = "unnamed";

Result<int> validate(const Context& context, const ValidateOptions& options) {
  CreateOptions declared;
  declared.file = options.file;
  declared.name_otherwise = workspace::Declared<std::string>{kSomeName, "spec validate"};
  const auto manifest = plan_workspace(declared);
  if (!manifest) return fail(manifest.error());
  nlohmann::json record = {{"file", options.file}, {"valid", true}};
  record["workspace"] = workspace::create_record(*manifest);
  const Status told = context.out.json() ? context.out.record(std::move(record))
                                         : context.out.text(fmt::format("{}: is a valid spec\n", options.file));
  if (!told) return fail(told.error());
  return 0;
}

Result<int> nothing_asked(const Context&, const NoOptions&) {
  return fail(ErrorKind::usage, "what is to be done with the spec?", "see `microagent spec --help`");
}

}  // namespace

void add_spec(Commands& commands) {
  auto [spec, none] = commands.add<NoOptions>("spec", "Check a spec without creating anything", nothing_asked);
  spec->require_subcommand(0, 1);
  auto [command, options] =
      commands.add_below<ValidateOptions>(*spec, "validate", "Check a spec as `create` would", validate);
  command->add_option("FILE", options->file, "the spec, microagent.yaml")->required()->type_name("");
}

}  // namespace microagent::cli
