#pragma once

// The few file operations that the store is made of. Every error names the file.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::workspace {

// The whole content of a regular file of at most `limit` bytes.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);

// A new directory, 0700. Its parents exist.
Status make_directory(const std::filesystem::path& path);

// Makes the names in a directory durable.
Status sync_directory(const std::filesystem::path& path);

Status rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

// Removes a file or a whole tree; what is not there is no error. Symbolic links are not followed.
Status remove_tree(const std::filesystem::path& path);

// The two halves of write_atomically() (state.h): the content beside the file, for which there may be no room, and its
// step into the file's place, which needs none. What is not to take it is cleared by drop_replacement().
Status prepare_replacement(const std::filesystem::path& path, std::string_view content);
Status commit_replacement(const std::filesystem::path& path);
void drop_replacement(const std::filesystem::path& path);

// Adds one line, whole or not at all, mode 0600. What a crash left behind without a line end is cut off first.
Status append_line(const std::filesystem::path& path, std::string_view line);

}  // namespace microagent::workspace
