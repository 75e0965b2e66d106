#include "cli/exec_stream.h"

#include <fmt/format.h>

#include "supervisor/client.h"

namespace microagent::cli {

Result<Fd> open_exec_stream(const Context& context, const std::string& name) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(name); !manifest) return fail(manifest.error());
  // A dead supervisor is noticed here.
  const auto runtime = store->load_settled_runtime(name);
  if (!runtime) return fail(runtime.error());
  if (runtime->for_a_copy()) {
    return fail(ErrorKind::transient, fmt::format("workspace {} is running for another command's copy alone", name),
                "try again");
  }
  return supervisor::open_exec(*store, name);
}

}  // namespace microagent::cli
