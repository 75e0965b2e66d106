#pragma once

// The layers of an image and bundles, tar archives both, read by libarchive: plain, or compressed by gzip or zstd, a
// bundle by bzip2 or xz, too.

#include <filesystem>
#include <functional>

#include "base/bytes.h"
#include "base/result.h"
#include "image/file_tree.h"

namespace microagent::image {

enum class ArchiveKind { layer, bundle };
std::string_view to_string(ArchiveKind kind);

// Reads every header of an archive, in order; `layer` is what the places of contents say. An error of `on_entry` ends
// it.
Status read_layer(const std::filesystem::path& file, unsigned layer,
                  const std::function<Status(LayerEntry entry)>& on_entry, ArchiveKind kind = ArchiveKind::layer);

// Gets a file's content in pieces, each with its place in the file: what lies between them are holes.
class ContentSink {
 public:
  virtual ~ContentSink() = default;
  // Whether the content at this place is wanted.
  virtual bool begin(ContentPlace place) = 0;
  virtual Status write(std::uint64_t offset, ByteView bytes) = 0;
  virtual Status end() = 0;
};
Status read_contents(const std::filesystem::path& file, unsigned layer, ContentSink& sink,
                     ArchiveKind kind = ArchiveKind::layer);

}  // namespace microagent::image
