#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "image/file_tree.h"

namespace microagent::image {

// Makes an ext4 file system in a file that does not exist yet, empty and as large as said, a sparse file. Its inodes
// are at least `inodes`.
Status make_ext4(const std::filesystem::path& file, std::uint64_t size, std::uint64_t inodes);

// The room that the tree needs, in bytes.
std::uint64_t ext4_size_of(const FileTree& tree);

// Puts the tree into an empty ext4 file system, with the contents from the layers it was merged from. Written by
// libext2fs, so that owners, devices and attributes are what the tree says whoever the caller is.
Status fill_ext4(const std::filesystem::path& file, const FileTree& tree,
                 const std::vector<std::filesystem::path>& layers);

// The room that a tree takes in a file system that is there already, in bytes.
std::uint64_t ext4_room_of(const FileTree& tree);

// Lets a file system that nobody has mounted grow by at least so much.
Status grow_ext4(const std::filesystem::path& file, std::uint64_t room);

// Puts the tree into a directory of the file system, with the contents from the bundle that it was read from: as
// Ext4Filler::add() does it.
Status add_to_ext4(const std::filesystem::path& file, const std::string& directory, const FileTree& tree,
                   const std::filesystem::path& bundle);

}  // namespace microagent::image
