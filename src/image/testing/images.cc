#include "image/testing/images.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

#include "base/check.h"
#include "image/sha256.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

mode_t type_of(FileType type) {
  switch (type) {
    case FileType::file: return AE_IFREG;
    case FileType::directory: return AE_IFDIR;
    case FileType::symlink: return AE_IFLNK;
    case FileType::character_device: return AE_IFCHR;
    case FileType::block_device: return AE_IFBLK;
    case FileType::fifo: return AE_IFIFO;
  }
  return AE_IFREG;
}

void fill(archive_entry* header, const TestFile& file) {
  const Inode& inode = file.entry.inode;
  ::archive_entry_set_pathname(header, file.entry.path.c_str());
  ::archive_entry_set_filetype(header, type_of(inode.type));
  ::archive_entry_set_perm(header, inode.mode);
  ::archive_entry_set_uid(header, inode.uid);
  ::archive_entry_set_gid(header, inode.gid);
  ::archive_entry_set_mtime(header, inode.mtime, 0);
  ::archive_entry_set_size(header, static_cast<la_int64_t>(file.content.size()));
  ::archive_entry_set_rdevmajor(header, inode.major);
  ::archive_entry_set_rdevminor(header, inode.minor);
  if (!inode.target.empty()) ::archive_entry_set_symlink(header, inode.target.c_str());
  if (file.entry.hard_link) ::archive_entry_set_hardlink(header, file.entry.hard_link->c_str());
  for (const ExtendedAttribute& attribute : inode.attributes) {
    ::archive_entry_xattr_add_entry(header, attribute.name.c_str(), attribute.value.data(), attribute.value.size());
  }
}

void write(const fs::path& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

// Puts a text into the layout as a blob, and gives its descriptor.
std::string put_blob(const fs::path& blobs, const std::string& text, const char* type) {
  const std::string digest = sha256(text);
  write(blobs / digest, text);
  return fmt::format(R"({{"mediaType":"application/vnd.oci.image.{}","digest":"sha256:{}","size":{}}})", type, digest,
                     text.size());
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

void write_layer(const fs::path& file, const std::vector<TestFile>& files, Compression compression) {
  const std::unique_ptr<archive, int (*)(archive*)> out(::archive_write_new(), ::archive_write_free);
  ::archive_write_set_format_pax(out.get());
  if (compression == Compression::gzip) ::archive_write_add_filter_gzip(out.get());
  if (compression == Compression::zstd) ::archive_write_add_filter_zstd(out.get());
  MICROAGENT_CHECK(::archive_write_open_filename(out.get(), file.c_str()) == ARCHIVE_OK);
  for (const TestFile& each : files) {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> header(::archive_entry_new(), ::archive_entry_free);
    fill(header.get(), each);
    MICROAGENT_CHECK(::archive_write_header(out.get(), header.get()) >= ARCHIVE_WARN);
    const la_ssize_t written = ::archive_write_data(out.get(), each.content.data(), each.content.size());
    MICROAGENT_CHECK(written == static_cast<la_ssize_t>(each.content.size()));
  }
  MICROAGENT_CHECK(::archive_write_close(out.get()) == ARCHIVE_OK);
}

void write_layout(const fs::path& directory, const std::vector<fs::path>& layers, const std::string& config,
                  const std::string& tag) {
  const fs::path blobs = directory / "blobs" / "sha256";
  fs::create_directories(blobs);
  std::string descriptors, diff_ids;
  for (const fs::path& layer : layers) {
    if (!descriptors.empty()) descriptors += ",", diff_ids += ",";
    const std::string text = read(layer);
    descriptors += put_blob(blobs, text, text.starts_with("\x1f\x8b") ? "layer.v1.tar+gzip" : "layer.v1.tar");
    diff_ids += fmt::format("\"sha256:{}\"", sha256(text));
  }
  const std::string configuration = put_blob(
      blobs,
      fmt::format(R"({{"architecture":"amd64","os":"linux","config":{},"rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
                  config, diff_ids),
      "config.v1+json");
  std::string manifest =
      put_blob(blobs, fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})", configuration, descriptors),
               "manifest.v1+json");
  manifest.pop_back();
  write(directory / "index.json",
        fmt::format(
            R"({{"schemaVersion":2,"manifests":[{},"annotations":{{"org.opencontainers.image.ref.name":"{}"}}}}]}})",
            manifest, tag));
  write(directory / "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen((command + " 2>&1").c_str(), "r"), &::pclose);
  std::string output;
  std::array<char, 4096> chunk{};
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), pipe.get())) {
    output.append(chunk.data(), count);
  }
  return output;
}

}  // namespace microagent::image
