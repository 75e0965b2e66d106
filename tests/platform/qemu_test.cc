// QEMU: what our command line asks for, and what it does with it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

#include "vm/qemu_program.h"

namespace microagent::platform {
namespace {

using testing::HasSubstr;

struct Outcome {
  int status = 0;
  std::string output;
};

Outcome run_shell(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> chunk;
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), pipe)) {
    outcome.output.append(chunk.data(), count);
  }
  outcome.status = ::pclose(pipe);
  return outcome;
}

Outcome run_qemu(const std::string& arguments) {
  const auto qemu = vm::find_qemu();
  EXPECT_TRUE(qemu) << "tools/packages.txt names qemu-system-x86";
  return run_shell("timeout 20 " + qemu->string() + " " + arguments);
}

TEST(Qemu, HasTheMicrovmMachine) { EXPECT_THAT(run_qemu("-machine help").output, HasSubstr("microvm")); }

TEST(Qemu, HasTheDevices) {
  const std::string devices = run_qemu("-device help").output;
  EXPECT_THAT(devices, HasSubstr("\"virtio-net-device\""));
  EXPECT_THAT(devices, HasSubstr("\"vhost-user-vsock-device\""));
  EXPECT_THAT(run_qemu("-netdev help").output, HasSubstr("vhost-user"));
}

TEST(Qemu, TakesTheMachinesProperties) {
  const std::string properties = run_qemu("-machine microvm,help").output;
  for (const char* property : {"x-option-roms", "rtc", "acpi", "memory-backend", "isa-serial"}) {
    EXPECT_THAT(properties, HasSubstr(property));
  }
}

TEST(Qemu, SharesItsMemoryByADescriptor) {
  EXPECT_THAT(run_qemu("-object memory-backend-memfd,help").output, HasSubstr("share=<bool>"));
}

TEST(Qemu, CanConfineItself) {
  EXPECT_THAT(run_qemu("-help").output, HasSubstr("-sandbox"));
  const Outcome confined = run_qemu(
      "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny -machine none -accel tcg "
      "-nodefaults -display none -S -qmp stdio <<'END'\n"
      R"({"execute": "qmp_capabilities"} {"execute": "quit"})"
      "\nEND");
  EXPECT_EQ(confined.status, 0) << confined.output;
}

}  // namespace
}  // namespace microagent::platform
