#include "image/cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/disk_usage.h"
#include "image/ext4_writer.h"
#include "image/layer_reader.h"
#include "image/puller.h"
#include "image/sha256.h"
#include "image/sparse_copy.h"
#include "workspace/files.h"
#include "workspace/json_fields.h"
#include "workspace/state.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char *kBase = "base.ext4", *kDefaults = "image.json";
constexpr std::size_t kMaxRecord = 1024 * 1024;

fs::path unfinished_of(const fs::path& place) {
  return place.parent_path() / fmt::format(".{}.new", place.filename().string());
}

Status make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_errno(error.value(), fmt::format("cannot make {}", path.string()));
  return {};
}

Result<workspace::Image> load_defaults(const fs::path& file) {
  const auto text = workspace::read_file(file, kMaxRecord);
  if (!text) return fail(text.error());
  const auto json = workspace::parse_json(*text, file.string());
  if (!json) return fail(json.error());
  return workspace::image_from_json(*json, file.string());
}

// Merges the layers and writes the file system.
Status build_base(const std::vector<fs::path>& layers, const fs::path& base) {
  FileTree tree;
  for (unsigned layer = 0; layer < layers.size(); ++layer) {
    tree.begin_layer();
    const auto add = [&](LayerEntry entry) { return tree.add(std::move(entry)); };
    if (Status read = read_layer(layers[layer], layer, add); !read) return read;
  }
  if (Status made = make_ext4(base, ext4_size_of(tree), tree.files()); !made) return made;
  if (Status filled = fill_ext4(base, tree, layers); !filled) return filled;
  if (::chmod(base.c_str(), 0400) != 0) return fail_errno(errno, fmt::format("cannot write {}", base.string()));
  return {};
}

struct flock whole_file(short type) {
  struct flock whole {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  return whole;
}

// What a record of ours holds under a key. Whatever is no text is as good as nothing.
std::string text_in(const std::string& record, const char* key) {
  const Json json = Json::parse(record, nullptr, false);
  if (!json.is_object()) return {};
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// How many names the base has; none when it is not there.
std::uint64_t names_of_base(const fs::path& directory) {
  struct stat facts {};
  return ::stat((directory / kBase).c_str(), &facts) == 0 ? facts.st_nlink : 0;
}

}  // namespace

Result<fs::path> cache_root() {
  for (const auto& [name, below] : {std::pair{"MICROAGENT_CACHE", ""}, std::pair{"XDG_CACHE_HOME", "microagent"},
                                    std::pair{"HOME", ".cache/microagent"}}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value == '/') return fs::path(value) / below;
  }
  return fail(ErrorKind::permanent, "this user has no home directory to keep images in",
              "name a directory by MICROAGENT_CACHE");
}

Result<Cache> Cache::open(const fs::path& root) {
  const fs::path images = root / "images";
  for (const fs::path& path : {images, images / "locks", images / "references"}) {
    if (Status made = make_directories(path); !made) return fail(made.error());
  }
  // What an image holds is nobody else's business.
  if (::chmod(images.c_str(), 0700) != 0) return fail_errno(errno, fmt::format("cannot use {}", images.string()));
  return Cache(images);
}

// An open file description's lock, as workspace/lock.h has them, but one that may be shared, and that may be waited
// for. A descriptor that holds nothing where somebody else has it and nobody waits.
Result<Fd> Cache::lock(const std::string& name, Share share, const Progress* waits) const {
  const fs::path path = images_ / "locks" / (name + ".lock");
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_errno(errno, fmt::format("cannot lock {}", path.string()));
  int command = F_OFD_SETLK;
  struct flock whole = whole_file(share == Share::alone ? F_WRLCK : F_RDLCK);
  while (::fcntl(file.get(), command, &whole) != 0) {
    const bool taken = command == F_OFD_SETLK && (errno == EAGAIN || errno == EACCES);
    if (taken && waits == nullptr) return Fd();
    if (taken) {
      (*waits)("waiting for another command that makes the same image");
      command = F_OFD_SETLKW;
    } else if (errno != EINTR) {
      return fail_errno(errno, fmt::format("cannot lock {}", path.string()));
    }
  }
  return file;
}

fs::path Cache::reference_file(const std::string& reference) const {
  return images_ / "references" / (sha256(reference) + ".json");
}

// A registry is not asked again for a name that is known; what lies on this host is looked at each time.
Result<std::string> Cache::digest_of(const Reference& reference, Pull pull, const Progress& progress) const {
  const bool registry = reference.transport == Transport::registry;
  if (registry && pull == Pull::missing) {
    const auto text = workspace::read_file(reference_file(reference.name), kMaxRecord);
    const std::string known = text ? text_in(*text, "digest") : "";
    if (is_sha256_digits(known) && names_of_base(images_ / known) != 0) return known;
  }
  if (registry) progress(fmt::format("asking for {}", reference.name));
  return resolve_digest(reference);
}

Status Cache::make(const Reference& reference, const std::string& digest, const Progress& progress) const {
  const fs::path place = images_ / digest, unfinished = unfinished_of(place);
  if (Status cleared = workspace::remove_tree(unfinished); !cleared) return cleared;
  if (Status made = workspace::make_directory(unfinished); !made) return made;
  const auto work = [&]() -> Status {
    progress(fmt::format("pulling {}", reference.name));
    const auto pulled = pull(reference, digest, unfinished / "pulled");
    if (!pulled) return fail(pulled.error());
    progress("making its root file system");
    if (Status built = build_base(pulled->layers, unfinished / kBase); !built) {
      return fail(with_context(built.error(), reference.name));
    }
    const std::string record = workspace::manifest_json(pulled->defaults).dump(2) + "\n";
    if (Status written = workspace::write_atomically(unfinished / kDefaults, record); !written) return written;
    if (Status cleared = workspace::remove_tree(unfinished / "pulled"); !cleared) return cleared;
    if (Status cleared = workspace::remove_tree(place); !cleared) return cleared;
    if (Status renamed = workspace::rename_path(unfinished, place); !renamed) return renamed;
    return workspace::sync_directory(images_);
  };
  Status done = work();
  // The first error is the one to tell; what stays behind is cleared by the next attempt.
  if (!done) (void)workspace::remove_tree(unfinished);
  return done;
}

Result<Cache::Held> Cache::obtain(const Reference& reference, Pull pull, const Progress& progress) const {
  const auto digest = digest_of(reference, pull, progress);
  if (!digest) return fail(digest.error());
  const fs::path place = images_ / *digest;
  auto held = lock(*digest, Share::together, &progress);
  if (held && names_of_base(place) == 0) {
    held->reset();
    held = lock(*digest, Share::alone, &progress);
    if (!held) return fail(held.error());
    // Another one may have made it between the two locks.
    const Status made = names_of_base(place) != 0 ? Status() : make(reference, *digest, progress);
    if (!made) return fail(made.error());
    struct flock shared = whole_file(F_RDLCK);
    if (::fcntl(held->get(), F_OFD_SETLK, &shared) != 0) return fail_errno(errno, "cannot share a lock");
  }
  if (!held) return fail(held.error());
  auto image = load_defaults(place / kDefaults);
  if (!image) return fail(image.error());
  if (image->digest != "sha256:" + *digest) {
    return fail(ErrorKind::permanent, fmt::format("{} is of another image", (place / kDefaults).string()),
                fmt::format("remove {}", place.string()));
  }
  image->reference = reference.name;
  if (Status known = remember(reference, *digest); !known) return fail(known.error());
  return Held{std::move(*image), place / kBase, std::move(*held)};
}

// Under a lock of its own: one name may be pulled as two images at once, and one image under one name by two.
Status Cache::remember(const Reference& reference, const std::string& digest) const {
  const Progress silent = [](const std::string&) {};
  const auto held = lock(sha256(reference.name), Share::alone, &silent);
  if (!held) return fail(held.error());
  const Json known = {{"reference", reference.name}, {"digest", digest}};
  return workspace::write_atomically(reference_file(reference.name), known.dump() + "\n");
}

Result<std::vector<Cache::Stored>> Cache::list() const {
  std::map<std::string, Stored> found;
  std::error_code error;
  for (fs::directory_iterator entry(images_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    struct stat facts {};
    if (!is_sha256_digits(name) || ::stat((entry->path() / kBase).c_str(), &facts) != 0) continue;
    found[name] = {name, {}, static_cast<std::uint64_t>(facts.st_blocks) * 512, facts.st_nlink > 1};
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot read {}", images_.string()));
  for (fs::directory_iterator entry(images_ / "references", error), end; !error && entry != end;
       entry.increment(error)) {
    const auto text = workspace::read_file(entry->path(), kMaxRecord);
    if (!text) continue;  // replaced meanwhile, or nothing of ours
    const auto image = found.find(text_in(*text, "digest"));
    if (const std::string name = text_in(*text, "reference"); image != found.end() && !name.empty()) {
      image->second.references.push_back(name);
    }
  }
  std::vector<Stored> all;
  for (auto& [name, image] : found) {
    std::ranges::sort(image.references);
    all.push_back(std::move(image));
  }
  return all;
}

Result<std::vector<Cache::Unused>> Cache::unused() const {
  std::vector<Unused> found;
  std::error_code error;
  for (fs::directory_iterator entry(images_, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    const bool unfinished = name.starts_with('.') && name.ends_with(".new");
    if (unfinished) name = name.substr(1, name.size() - 5);
    if (!is_sha256_digits(name)) continue;
    if (names_of_base(entry->path()) > 1) continue;
    // One that is being made belongs to nobody else yet.
    if (unfinished) {
      const auto idle = lock(name, Share::alone);
      if (!idle || !*idle) continue;
    }
    found.push_back({std::move(name), disk_usage(entry->path())});
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot read {}", images_.string()));
  return found;
}

Result<Cache::Removal> Cache::remove(const Unused& unused) const {
  const fs::path place = images_ / unused.name;
  const auto held = lock(unused.name, Share::alone);
  if (!held) return fail(held.error());
  if (names_of_base(place) > 1) return Removal::used;
  if (!*held) return Removal::busy;
  if (Status forgotten = forget_names(unused.name); !forgotten) return fail(forgotten.error());
  for (const fs::path& path : {unfinished_of(place), place}) {
    if (Status removed = workspace::remove_tree(path); !removed) return fail(removed.error());
  }
  return Removal::done;
}

// Those that mean the image, and those that mean one that is not there.
Status Cache::forget_names(const std::string& digest) const {
  const Progress silent = [](const std::string&) {};
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(images_ / "references", error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_sha256_digits(entry->path().stem().string())) files.push_back(entry->path());
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot read {}", images_.string()));
  for (const fs::path& file : files) {
    // As remember() does: another image may be pulled under the name just now.
    const auto held = lock(file.stem().string(), Share::alone, &silent);
    if (!held) return fail(held.error());
    const auto text = workspace::read_file(file, kMaxRecord);
    const std::string meant = text ? text_in(*text, "digest") : "";
    if (is_sha256_digits(meant) && meant != digest && names_of_base(images_ / meant) != 0) continue;
    if (Status removed = workspace::remove_tree(file); !removed) return removed;
  }
  return {};
}

Status Cache::forget(const std::string& reference) const {
  const Progress silent = [](const std::string&) {};
  const auto held = lock(sha256(reference), Share::alone, &silent);
  if (!held) return fail(held.error());
  return workspace::remove_tree(reference_file(reference));
}

Status lend_base(const fs::path& base, const fs::path& name) {
  if (::link(base.c_str(), name.c_str()) == 0) return {};
  if (errno != EXDEV && errno != EPERM && errno != EMLINK) {
    return fail_errno(errno, fmt::format("cannot make {}", name.string()));
  }
  return copy_sparse(base, name);
}

}  // namespace microagent::image
