#include "cli/exec_stream.h"

#include "supervisor/client.h"

namespace microagent::cli {

Result<Fd> open_exec_stream(const Context& context, const std::string& name) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(name); !manifest) return fail(manifest.error());
  // A dead supervisor is noticed here.
  if (const auto runtime = store->load_settled_runtime(name); !runtime) return fail(runtime.error());
  return supervisor::open_exec(*store, name);
}

}  // namespace microagent::cli
