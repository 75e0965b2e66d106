#include "vm/kvm_trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/fd.h"
#include "vm/bounded_child.h"

namespace microagent::vm {
namespace {

constexpr int kApiVersion = 12;  // the only one since Linux 2.6.22
constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kCodeAddress = 0x1000;
constexpr std::size_t kResultOffset = 0x800;
constexpr std::uint16_t kResult = 0x1234 + 0x1111;

// 16-bit real mode: the sum must really be computed and stored, so an exit alone proves nothing.
constexpr std::uint8_t kCode[] = {
    0xb8, 0x34, 0x12,  // mov ax, 0x1234
    0x05, 0x11, 0x11,  // add ax, 0x1111
    0xa3, 0x00, 0x18,  // mov [0x1800], ax
    0xf4,              // hlt
};

enum class Step : int { done, version, machine, memory, processor, registers, run, halt, result };

std::string_view what_failed(Step step) {
  switch (step) {
    case Step::done: return "";
    case Step::version: return "it speaks another version of the interface";
    case Step::machine: return "it cannot make a virtual machine";
    case Step::memory: return "it cannot give a virtual machine memory";
    case Step::processor: return "it cannot make a virtual processor";
    case Step::registers: return "it cannot set a virtual processor's registers";
    case Step::run: return "it cannot run a virtual processor";
    case Step::halt: return "a trial guest stopped before its end";
    case Step::result: return "a trial guest computed a wrong result";
  }
  return "a trial guest failed";
}

bool point_at_code(int processor) {
  kvm_sregs special{};
  if (::ioctl(processor, KVM_GET_SREGS, &special) != 0) return false;
  for (kvm_segment* segment : {&special.cs, &special.ds}) {
    segment->base = 0;
    segment->selector = 0;
  }
  kvm_regs general{};
  general.rip = kCodeAddress;
  general.rflags = 2;  // the bit that is always set
  return ::ioctl(processor, KVM_SET_SREGS, &special) == 0 && ::ioctl(processor, KVM_SET_REGS, &general) == 0;
}

Step run_to_halt(int processor, const kvm_run& state) {
  int ran = 0;
  do {
    ran = ::ioctl(processor, KVM_RUN, 0);
  } while (ran != 0 && errno == EINTR);
  if (ran != 0) return Step::run;
  return state.exit_reason == KVM_EXIT_HLT ? Step::done : Step::halt;
}

// Runs in the child; what it makes ends with it.
Step run_trial(int kvm) {
  if (::ioctl(kvm, KVM_GET_API_VERSION, 0) != kApiVersion) return Step::version;
  const Fd machine(::ioctl(kvm, KVM_CREATE_VM, 0));
  if (!machine) return Step::machine;

  void* const page = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return Step::memory;
  std::memcpy(page, kCode, sizeof kCode);
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kCodeAddress;
  region.memory_size = kPage;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(page);
  if (::ioctl(machine.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0) return Step::memory;

  const Fd processor(::ioctl(machine.get(), KVM_CREATE_VCPU, 0));
  const int state_size = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (!processor || state_size < static_cast<int>(sizeof(kvm_run))) return Step::processor;
  void* const state =
      ::mmap(nullptr, static_cast<std::size_t>(state_size), PROT_READ | PROT_WRITE, MAP_SHARED, processor.get(), 0);
  if (state == MAP_FAILED) return Step::processor;
  if (!point_at_code(processor.get())) return Step::registers;

  const Step ran = run_to_halt(processor.get(), *static_cast<const kvm_run*>(state));
  if (ran != Step::done) return ran;
  std::uint16_t result = 0;
  std::memcpy(&result, static_cast<const std::uint8_t*>(page) + kResultOffset, sizeof result);
  return result == kResult ? Step::done : Step::result;
}

}  // namespace

Status try_kvm(const std::string& node, std::chrono::milliseconds deadline) {
  const Fd kvm(::open(node.c_str(), O_RDWR | O_CLOEXEC));
  if (!kvm) return fail_errno(errno, fmt::format("cannot open {}", node));
  const auto ended = run_bounded(deadline, [&] { return static_cast<int>(run_trial(kvm.get())); });
  if (!ended) return fail(ended.error());
  if (!*ended) {
    return fail(ErrorKind::unsupported,
                fmt::format("{} opens, but a trial guest did not end within {} ms", node, deadline.count()));
  }
  const auto step = static_cast<Step>(**ended);
  if (step == Step::done) return {};
  return fail(ErrorKind::unsupported, fmt::format("{} opens, but {}", node, what_failed(step)));
}

}  // namespace microagent::vm
