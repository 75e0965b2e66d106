#pragma once

// Images made by a test.

#include <filesystem>
#include <string>
#include <vector>

#include "image/file_tree.h"

namespace microagent::image {

enum class Compression { none, gzip, zstd };

struct TestFile {
  LayerEntry entry;
  std::string content{};
};

// A tar file of these entries, as libarchive writes it.
void write_layer(const std::filesystem::path& file, const std::vector<TestFile>& files,
                 Compression compression = Compression::none);

// An OCI image layout of one image, for linux/amd64. `config` is what stands in its configuration's "config".
void write_layout(const std::filesystem::path& directory, const std::vector<std::filesystem::path>& layers,
                  const std::string& config, const std::string& tag = "latest");

// What a shell command prints, both streams.
std::string output_of(const std::string& command);

}  // namespace microagent::image
