#include "tls/memory.h"

#include <malloc.h>
#include <openssl/crypto.h>

#include <array>
#include <cstddef>
#include <cstdlib>

#include "base/check.h"

namespace microagent::tls {
namespace {

constexpr std::size_t kStep = 8 * 1024;  // kept blocks have whole numbers of these
constexpr std::size_t kLeast = 2, kMost = 8;
constexpr std::size_t kSpare = 4;  // blocks of each size

struct Shelf {
  std::array<void*, kSpare> blocks{};
  std::size_t count = 0;
};

// The thread's own. What is left here when it ends is lost with it.
thread_local std::array<Shelf, kMost + 1> shelves;

bool is_kept(std::size_t steps) { return steps >= kLeast && steps <= kMost; }

void* allocate(std::size_t size, const char*, int) {
  const std::size_t steps = (size + kStep - 1) / kStep;
  if (!is_kept(steps)) return std::malloc(size);
  Shelf& shelf = shelves[steps];
  if (shelf.count > 0) return shelf.blocks[--shelf.count];
  return std::malloc(steps * kStep);
}

void* reallocate(void* block, std::size_t size, const char*, int) { return std::realloc(block, size); }

void release(void* block, const char*, int) {
  const std::size_t steps = ::malloc_usable_size(block) / kStep;
  if (!is_kept(steps) || shelves[steps].count == kSpare) return std::free(block);
  Shelf& shelf = shelves[steps];
  shelf.blocks[shelf.count++] = block;
}

}  // namespace

void keep_buffers() { MICROAGENT_CHECK(CRYPTO_set_mem_functions(allocate, reallocate, release) == 1); }

}  // namespace microagent::tls
