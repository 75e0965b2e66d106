#include "vm/acceleration.h"

#include <gtest/gtest.h>

#include "vm/kvm_trial.h"

namespace microagent::vm {
namespace {

TEST(NamesVirtualization, WantsTheWholeFlag) {
  EXPECT_TRUE(names_virtualization("processor\t: 0\nflags\t\t: fpu vme vmx sse\n"));
  EXPECT_TRUE(names_virtualization("flags\t\t: fpu svm"));
  EXPECT_FALSE(names_virtualization("flags\t\t: fpu svm_lock vmx_x"));
  EXPECT_FALSE(names_virtualization("model name\t: vmx\nvmx flags\t: ept\n"));
  EXPECT_FALSE(names_virtualization(""));
}

TEST(TryKvm, SaysWhatIsWrongWithANode) {
  const Status absent = try_kvm("/dev/no-such-node", std::chrono::milliseconds(1000));
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().message.find("/dev/no-such-node"), std::string::npos);

  const Status other = try_kvm("/dev/null", std::chrono::milliseconds(1000));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::unsupported);
}

TEST(ProbeAcceleration, GivesAReasonForDoingWithoutKvm) {
  const Acceleration acceleration = probe_acceleration();
  EXPECT_EQ(acceleration.accelerator == Accelerator::tcg, !acceleration.reason.empty());
}

}  // namespace
}  // namespace microagent::vm
