#include "cli/subject.h"

#include <fmt/format.h>

#include "cli/egress_flags.h"
#include "cli/progress.h"
#include "cli/swap_environment.h"
#include "cli/swap_flags.h"
#include "supervisor/client.h"

namespace microagent::cli {
namespace {

// The record may have been edited since create. Gives its swaps, of which some may be of no use by now: the policy is
// changed as need be, and what it forbids is forbidden.
Result<policy::SwapSet> check_record(const Subject& subject) {
  Result<policy::SwapSet> swaps;
  Status valid = validate(subject.manifest);
  if (valid) valid = check_egress(subject.manifest.egress);
  if (valid) swaps = swap_set(subject.manifest.swaps);
  if (valid && swaps) return swaps;
  const auto file = subject.store.directory(subject.manifest.name) / "workspace.json";
  Error error = with_context(valid ? swaps.error() : valid.error(), file.string());
  error.kind = ErrorKind::permanent;
  return fail(std::move(error));
}

}  // namespace

Result<Subject> find_subject(const Context& context, const std::string& name) {
  auto store = context.open_store();
  if (!store) return fail(store.error());
  auto manifest = store->load_manifest(name);
  if (!manifest) return fail(manifest.error());
  const auto settled = store->load_settled_runtime(name);
  if (!settled) return fail(settled.error());
  return Subject{std::move(*store), std::move(*manifest)};
}

Status check_unsupervised(const Subject& subject) {
  const auto supervised = subject.store.supervised(subject.manifest.name);
  if (!supervised) return fail(supervised.error());
  if (!*supervised) return {};
  return fail(ErrorKind::conflict,
              fmt::format("workspace \"{}\" is supervised: `microagent supervise` starts it", subject.manifest.name),
              "restart the service or the command that runs `microagent supervise`, or end it first");
}

Result<workspace::Runtime> boot(const Context& context, const Subject& subject, std::chrono::seconds patience,
                                supervisor::Leash* leash) {
  const auto swaps = check_record(subject);
  if (!swaps) return fail(swaps.error());
  const auto variables = read_swap_variables(*swaps, subject.manifest);
  if (!variables) return fail(variables.error());
  const auto misfits = find_misfits(subject.manifest);
  if (!misfits) return fail(misfits.error());
  for (const policy::Misfit& misfit : *misfits) warn_of(misfit);
  const Progress progress(context.out, subject.manifest.name);
  return supervisor::start(subject.store, subject.manifest.name, patience, progress, *variables, leash);
}

}  // namespace microagent::cli
