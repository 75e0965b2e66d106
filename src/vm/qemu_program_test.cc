#include "vm/qemu_program.h"

#include <gtest/gtest.h>

namespace microagent::vm {
namespace {

TEST(FindQemu, TakesAPathAsItIs) { EXPECT_EQ(find_qemu("/bin/sh", "/nowhere").value(), "/bin/sh"); }

TEST(FindQemu, LooksANameUp) { EXPECT_EQ(find_qemu("sh", "relative::/nowhere:/bin").value(), "/bin/sh"); }

TEST(FindQemu, RefusesWhatIsNoProgram) {
  const auto directory = find_qemu("/bin", "/bin");
  ASSERT_FALSE(directory);
  EXPECT_NE(directory.error().message.find("MICROAGENT_QEMU"), std::string::npos);
  EXPECT_FALSE(find_qemu("/etc/passwd", "/bin"));
}

TEST(FindQemu, SaysHowToInstallIt) {
  for (const char* unset : {static_cast<const char*>(nullptr), ""}) {
    const auto missing = find_qemu(unset, "/nowhere");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
    EXPECT_NE(missing.error().remediation.find("qemu-system-x86"), std::string::npos);
  }
}

}  // namespace
}  // namespace microagent::vm
