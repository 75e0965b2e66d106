#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::init {

// The whole of a file, which must not be larger than `limit`. Works for /proc, where sizes say nothing.
Result<std::string> read_file(const std::string& path, std::size_t limit);
// The same for a place where somebody else may have put what makes its reader wait: it must be a regular file.
Result<std::string> read_regular_file(const std::string& path, std::size_t limit);

// Replaces the content of a file, or makes it.
Status write_file(const std::string& path, std::string_view content, mode_t mode = 0644);

// Makes a file that is not there, in the place of what is left there: nobody who may write to the directory leads it
// elsewhere or makes it wait. There is none where this fails.
Status write_new_file(const std::string& path, std::string_view content, mode_t mode = 0644);

// Replaces it as a whole, where it does not hold that already, and keeps its mode: whoever reads it meanwhile sees all
// of the old or all of the new. A link stays one. In a guest's own tree links lead where they please, which is no
// danger where only its root can have laid them.
Status replace_whole(const std::string& path, std::string_view content);

// Whether a file holds what was written to it, and can be read: an error where it does not.
Status check_file(const std::string& path, std::string_view content);

// Removes a file or link that need not be there.
Status remove_file(const std::string& path);

// What is there, links followed.
bool is_directory(const std::string& path);
bool is_file(const std::string& path);
bool is_link_to(const std::string& path, std::string_view target);

// A setting below /proc/sys, by its path there: "net/ipv4/ip_forward". A setting is written at once or not at all.
Status write_setting(std::string_view name, std::string_view value);

// Every directory on the way of an absolute path.
Status make_directories(const std::string& path);

// A directory that may be there already.
Status make_directory(const char* path, mode_t mode);

}  // namespace microagent::init
