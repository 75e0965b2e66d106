// Preloaded into a front end of another project that makes its guest's memory without leave to seal it (DPDK without
// huge pages). netd takes no memory that could shrink under its hands (virtio/guest_memory.h), whoever offers it.

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" int memfd_create(const char* name, unsigned flags) noexcept {
  return static_cast<int>(::syscall(SYS_memfd_create, name, flags | MFD_ALLOW_SEALING));
}
