#include "cli/copy_guest.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/exec_stream.h"
#include "cli/progress.h"

namespace microagent::cli {
namespace {

// Whether the path may lie on a disk: all of an image's root does, beside volumes that of the built-in base does not.
// Links on its way are the guest's to follow.
bool may_be_kept(const workspace::Manifest& manifest, const std::string& path) {
  if (manifest.image) return true;
  return std::ranges::any_of(manifest.volumes, [&](const workspace::Volume& volume) {
    return path.starts_with(volume.path) && (path.size() == volume.path.size() || path[volume.path.size()] == '/') &&
           path.find("/../") == path.npos;
  });
}

tl::unexpected<Error> nothing_kept(const Subject& subject, const std::string& path) {
  const std::string& name = subject.manifest.name;
  return fail(
      ErrorKind::conflict,
      fmt::format("workspace {} is not running, and {} lies on no disk: the built-in base lives in memory", name, path),
      fmt::format("start it with: microagent start {}", name));
}

}  // namespace

Result<CopyGuest> CopyGuest::open(const Context& context, const GuestPath& path) {
  auto subject = find_subject(context, path.workspace);
  if (!subject) return fail(subject.error());
  const auto runtime = subject->store.load_runtime(path.workspace);
  if (!runtime) return fail(runtime.error());
  if (!workspace::is_alive(runtime->state)) {
    if (!may_be_kept(subject->manifest, path.path)) return nothing_kept(*subject, path.path);
    return boot(context, std::move(*subject));
  }
  auto stream = open_exec_stream(context, path.workspace);
  if (!stream) return fail(stream.error());
  CopyGuest guest;
  guest.stream_ = std::move(*stream);
  return guest;
}

Result<CopyGuest> CopyGuest::boot(const Context& context, Subject subject) {
  if (Status free = check_unsupervised(subject); !free) return fail(free.error());
  CopyGuest guest;
  Boot& booted = guest.boot_.emplace(Boot{std::move(subject), {}});
  booted.leash.for_a_copy = true;
  const workspace::Store& store = booted.subject.store;
  const std::string& name = booted.subject.manifest.name;
  const Progress progress(context.out, name);
  const auto started = supervisor::start(store, name, std::chrono::seconds(kReadySeconds), progress, {}, &booted.leash);
  if (!started) return fail(started.error());
  auto stream = supervisor::open_exec(store, name);
  if (!stream) return fail(stream.error());
  guest.stream_ = std::move(*stream);
  return guest;
}

Status CopyGuest::finish() {
  if (!boot_) return {};
  return supervisor::end_copy(boot_->subject.store, boot_->subject.manifest.name, std::move(boot_->leash));
}

}  // namespace microagent::cli
