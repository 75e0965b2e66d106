#include "vm/qemu_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace microagent::vm {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

QemuOptions user_mode() {
  QemuOptions options;
  options.memory_mib = 300;
  options.cpus = 2;
  options.kernel = "/guest/vmlinuz";
  options.initrd = "/state, with a comma/initrd";
  options.kernel_arguments = "console=ttyS0 quiet";
  options.qmp_fd = 3;
  options.vsock_socket = "/proc/self/fd/4/vsock.sock";
  options.net = NetDevice{"/proc/self/fd/4/net.sock", "02:00:00:00:00:02", 1500};
  return options;
}

// The word behind an option.
std::string value_of(const std::vector<std::string>& arguments, std::string_view option) {
  const auto found = std::find(arguments.begin(), arguments.end(), option);
  return found == arguments.end() || found + 1 == arguments.end() ? "" : *(found + 1);
}

TEST(QemuArguments, DescribeTheMachine) {
  const auto arguments = qemu_arguments(user_mode());
  EXPECT_EQ(value_of(arguments, "-m"), "300M");
  EXPECT_EQ(value_of(arguments, "-smp"), "2");
  EXPECT_EQ(value_of(arguments, "-object"), "memory-backend-memfd,id=mem,size=300M,share=on");
  EXPECT_THAT(value_of(arguments, "-M"), HasSubstr("memory-backend=mem"));
  EXPECT_EQ(value_of(arguments, "-append"), "console=ttyS0 quiet");
  EXPECT_EQ(value_of(arguments, "-initrd"), "/state, with a comma/initrd");
  EXPECT_THAT(arguments, Contains("socket,id=qmp,fd=3"));
}

TEST(QemuArguments, ConfineIt) {
  const auto arguments = qemu_arguments(user_mode());
  for (const char* word : {"-nodefaults", "-no-user-config", "-no-reboot"}) EXPECT_THAT(arguments, Contains(word));
  EXPECT_THAT(value_of(arguments, "-sandbox"), HasSubstr("on,"));
  EXPECT_THAT(value_of(arguments, "-sandbox"), HasSubstr("spawn=deny"));
}

TEST(QemuArguments, FollowTheAccelerator) {
  QemuOptions options = user_mode();
  EXPECT_EQ(value_of(qemu_arguments(options), "-accel"), "tcg");
  EXPECT_EQ(value_of(qemu_arguments(options), "-cpu"), "max,erms=off,fsrm=off");
  options.accelerator = Accelerator::kvm;
  EXPECT_EQ(value_of(qemu_arguments(options), "-accel"), "kvm");
  EXPECT_EQ(value_of(qemu_arguments(options), "-cpu"), "host");
}

TEST(QemuArguments, GiveItsDisks) {
  QemuOptions options = user_mode();
  options.disks = {{"root", "/state, with a comma/disk.qcow2", "qcow2"}, {"volume0", "/v.ext4", "raw"}};
  const auto arguments = qemu_arguments(options);
  EXPECT_THAT(arguments, Contains(HasSubstr("filename=/state,, with a comma/disk.qcow2")));
  EXPECT_THAT(arguments, Contains(HasSubstr("driver=qcow2,node-name=root,file=root-file")));
  EXPECT_THAT(arguments, Contains("virtio-blk-device,drive=root,serial=root,werror=report,rerror=report"));
  EXPECT_THAT(arguments, Contains(HasSubstr("driver=raw,node-name=volume0,file=volume0-file")));
  EXPECT_THAT(arguments, Contains("virtio-blk-device,drive=volume0,serial=volume0,werror=report,rerror=report"));
  EXPECT_THAT(qemu_arguments(user_mode()), Not(Contains(HasSubstr("blk"))));
}

TEST(QemuArguments, GiveANetworkDeviceOnlyWhereOneIsWanted) {
  QemuOptions options = user_mode();
  EXPECT_THAT(qemu_arguments(options), Contains("virtio-net-device,netdev=net,mac=02:00:00:00:00:02,host_mtu=1500"));
  EXPECT_THAT(qemu_arguments(options), Contains("socket,id=net,path=/proc/self/fd/4/net.sock"));
  options.net.reset();
  EXPECT_THAT(qemu_arguments(options), Not(Contains(HasSubstr("net"))));
  EXPECT_THAT(qemu_arguments(options), Contains("vhost-user-vsock-device,chardev=vsock"));
}

}  // namespace
}  // namespace microagent::vm
