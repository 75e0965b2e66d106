#include "image/layer_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <locale.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 256 * 1024;
constexpr std::size_t kMaxAttributes = 4096;  // bytes a file, names and values: a block, which is all that ext4 gives

// libarchive gives names in the locale's encoding, and none at all where they do not fit into it.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = ::uselocale(locale_);
  }
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_, before_ = nullptr;
};

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

// What is read, as messages say it.
struct Source {
  fs::path file;
  ArchiveKind kind;

  std::string name() const { return fmt::format("the {} {}", to_string(kind), file.filename().string()); }
};

std::string remedy_of(const Source& source) {
  return source.kind == ArchiveKind::layer ? "pull or build the image again"
                                           : "give a whole tar archive, plain or compressed by gzip, bzip2, xz or zstd";
}

tl::unexpected<Error> fail_with(const Archive& archive, const Source& source) {
  const char* why = ::archive_error_string(archive.get());
  return fail(ErrorKind::permanent, fmt::format("{} cannot be read: {}", source.name(), why ? why : "damaged"),
              remedy_of(source));
}

Result<Archive> open(const Source& source) {
  Archive archive(::archive_read_new(), ::archive_read_free);
  std::vector supported{::archive_read_support_format_tar, ::archive_read_support_format_empty,
                        ::archive_read_support_filter_gzip, ::archive_read_support_filter_zstd};
  if (source.kind == ArchiveKind::bundle) {
    supported.insert(supported.end(), {::archive_read_support_filter_bzip2, ::archive_read_support_filter_xz});
  }
  for (const auto support : supported) {
    if (support(archive.get()) != ARCHIVE_OK) return fail_with(archive, source);
  }
  if (::archive_read_open_filename(archive.get(), source.file.c_str(), kBlock) == ARCHIVE_OK) return archive;
  return fail_with(archive, source);
}

tl::unexpected<Error> fail_cut(const Source& source) {
  return fail(ErrorKind::permanent, fmt::format("{} cannot be read: it ends before its end", source.name()),
              remedy_of(source));
}

// The next header; false at the end.
Result<bool> next(const Archive& archive, archive_entry*& entry, std::uint64_t number, const Source& source) {
  // What is left of the last content, so that the place below is the one where the next header begins.
  const int skipped = number == 0 ? ARCHIVE_OK : ::archive_read_data_skip(archive.get());
  if (skipped != ARCHIVE_OK && skipped != ARCHIVE_WARN) return fail_with(archive, source);
  const la_int64_t begin = ::archive_filter_bytes(archive.get(), 0);
  const int outcome = ::archive_read_next_header(archive.get(), &entry);
  // An archive ends with a block of zeros. libarchive takes one that just stops for as whole.
  const bool ended = number == 0 || ::archive_filter_bytes(archive.get(), 0) > begin;
  if (outcome == ARCHIVE_EOF && source.kind == ArchiveKind::bundle && !ended) return fail_cut(source);
  if (outcome == ARCHIVE_EOF) return false;
  // A warning is about a field that does not matter here, or leaves a name out, which is seen.
  if (outcome == ARCHIVE_OK || outcome == ARCHIVE_WARN) return true;
  return fail_with(archive, source);
}

std::optional<FileType> type_of(mode_t type) {
  switch (type) {
    case AE_IFREG: return FileType::file;
    case AE_IFDIR: return FileType::directory;
    case AE_IFLNK: return FileType::symlink;
    case AE_IFCHR: return FileType::character_device;
    case AE_IFBLK: return FileType::block_device;
    case AE_IFIFO: return FileType::fifo;
    default: return std::nullopt;
  }
}

// The kernel's namespaces of attributes; others come from other systems, and no Linux could store them.
bool is_known(std::string_view name) {
  for (const std::string_view prefix : {"user.", "trusted.", "security.", "system.posix_acl_"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

Status read_attributes(archive_entry* entry, Inode& inode) {
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0, total = 0;
  ::archive_entry_xattr_reset(entry);
  while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || !is_known(name)) continue;
    total += std::string_view(name).size() + std::min(size, kMaxAttributes + 1);
    if (total > kMaxAttributes) {
      return fail(ErrorKind::unsupported,
                  fmt::format("the attributes of {} are too large for ext4", ::archive_entry_pathname(entry)),
                  "give it smaller ones");
    }
    inode.attributes.push_back({name, std::string(static_cast<const char*>(value), size)});
  }
  return {};
}

tl::unexpected<Error> nameless(const Source& source) {
  return fail(ErrorKind::permanent, fmt::format("{} has an entry whose name cannot be read", source.name()),
              "make it with names in UTF-8");
}

// An owner that was not there reads as -1 in places; no user has that number.
Result<std::uint32_t> owner_of(la_int64_t number, const char* path, const Source& source) {
  if (number >= 0 && number < 0xffffffff) return static_cast<std::uint32_t>(number);
  return fail(ErrorKind::permanent, fmt::format("the owner of {} in {} is out of bounds", path, source.name()),
              "make it anew");
}

Result<LayerEntry> describe(archive_entry* entry, ContentPlace place, const Source& source) {
  const char* path = ::archive_entry_pathname(entry);
  if (path == nullptr) return nameless(source);
  LayerEntry result{path, {}, std::nullopt};
  if (const char* link = ::archive_entry_hardlink(entry)) {
    result.hard_link = link;
    return result;
  }
  const auto type = type_of(::archive_entry_filetype(entry));
  if (!type) {
    return fail(ErrorKind::unsupported,
                fmt::format("{} in {} is of a type that no image may hold", path, source.name()),
                "make it without that");
  }
  const auto uid = owner_of(::archive_entry_uid(entry), path, source);
  const auto gid = owner_of(::archive_entry_gid(entry), path, source);
  if (!uid || !gid) return fail(!uid ? uid.error() : gid.error());
  Inode& inode = result.inode;
  inode = {.type = *type,
           .mode = static_cast<std::uint32_t>(::archive_entry_perm(entry)) & 07777,
           .uid = *uid,
           .gid = *gid,
           .mtime = ::archive_entry_mtime(entry)};
  if (*type == FileType::symlink) {
    const char* target = ::archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0') return nameless(source);
    inode.target = target;
  }
  if (*type == FileType::character_device || *type == FileType::block_device) {
    inode.major = static_cast<std::uint32_t>(::archive_entry_rdevmajor(entry));
    inode.minor = static_cast<std::uint32_t>(::archive_entry_rdevminor(entry));
  }
  if (*type == FileType::file) {
    inode.size = static_cast<std::uint64_t>(std::max<la_int64_t>(::archive_entry_size(entry), 0));
    if (inode.size != 0) inode.content = place;
  }
  if (Status read = read_attributes(entry, inode); !read) return fail(read.error());
  return result;
}

Status copy_content(const Archive& archive, const Source& source, ContentSink& sink) {
  for (;;) {
    const void* bytes = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int outcome = ::archive_read_data_block(archive.get(), &bytes, &size, &offset);
    if (outcome == ARCHIVE_EOF) return sink.end();
    if (outcome != ARCHIVE_OK) return fail_with(archive, source);
    const ByteView view(static_cast<const std::uint8_t*>(bytes), size);
    if (Status written = sink.write(static_cast<std::uint64_t>(offset), view); !written) return written;
  }
}

template <typename Visit>
Status for_each_header(const Source& source, unsigned layer, const Visit& visit) {
  const Utf8Locale locale;
  const auto archive = open(source);
  if (!archive) return fail(archive.error());
  archive_entry* header = nullptr;
  for (std::uint64_t number = 0;; ++number) {
    const auto more = next(*archive, header, number, source);
    if (!more) return fail(more.error());
    if (!*more) return {};
    if (Status done = visit(*archive, header, {layer, number}); !done) return done;
  }
}

}  // namespace

std::string_view to_string(ArchiveKind kind) { return kind == ArchiveKind::layer ? "layer" : "bundle"; }

Status read_layer(const fs::path& file, unsigned layer, const std::function<Status(LayerEntry entry)>& on_entry,
                  ArchiveKind kind) {
  const Source source{file, kind};
  return for_each_header(source, layer, [&](const Archive&, archive_entry* header, ContentPlace place) -> Status {
    auto entry = describe(header, place, source);
    if (!entry) return fail(entry.error());
    return on_entry(std::move(*entry));
  });
}

Status read_contents(const fs::path& file, unsigned layer, ContentSink& sink, ArchiveKind kind) {
  const Source source{file, kind};
  return for_each_header(source, layer, [&](const Archive& archive, archive_entry*, ContentPlace place) -> Status {
    if (!sink.begin(place)) return {};
    return copy_content(archive, source, sink);
  });
}

}  // namespace microagent::image
