#pragma once

#include <filesystem>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::workspace {

// Locks of open file descriptions (fcntl(2), F_OFD_SETLK): they end with the descriptor, however its holder ends, and
// whether one is held can be asked without taking it.

// The lock file's descriptor with the lock held; one that holds nothing when somebody else has the lock.
Result<Fd> try_lock_file(const std::filesystem::path& path);

// The same, waiting for whoever has it. For locks that are held for a moment.
Result<Fd> lock_file(const std::filesystem::path& path);

// For whoever looks after what the last holder has left: as long as the descriptor lives nobody gets the lock, and who
// wants it waits instead of being turned away. One that keeps nothing when somebody has the lock. For a moment only.
Result<Fd> keep_unlocked(const std::filesystem::path& path);

// Removes the file of a lock that nobody is to want again; one that somebody holds stays. Its holder may remove it by
// itself, for who wants the lock makes sure that its file has its name.
Status remove_lock_file(const std::filesystem::path& path);

// Whether somebody holds the lock. A file that is not there is not locked.
Result<bool> is_file_locked(const std::filesystem::path& path);

}  // namespace microagent::workspace
