#pragma once

// What the manifest means to each of the parts that are started: pure functions.

#include <filesystem>
#include <string>

#include "base/result.h"
#include "flow/messages.h"
#include "vm/acceleration.h"
#include "vm/qemu_command.h"
#include "wire/guest_config.h"
#include "workspace/manifest.h"

namespace microagent::supervisor {

// The same in every workspace: each has a wire of its own.
inline constexpr std::uint64_t kGuestCid = 3;  // the first that no well-known party has
inline constexpr std::uint16_t kMtu = 1500;
inline constexpr const char* kGuestMac = "02:6d:61:00:00:02";
// A unique local prefix (RFC 4193, drawn at random); no packet of it leaves the wire.
inline constexpr const char *kGuestIp6 = "fd5c:8e1a:94d7::2", *kGatewayIp6 = "fd5c:8e1a:94d7::1";
inline constexpr std::uint8_t kPrefixLength6 = 64;

// How netd's wire looks. Without addresses when isolated; with IPv6 where the host reaches anything by it. Fails on
// addresses that are none.
Result<flow::Configure> wire_config(const workspace::Manifest& manifest, bool host_has_ipv6);

// The mediator's configuration, JSON (mediator/config.h). `trust` holds what the files of egress.trust do.
std::string mediator_config(const workspace::Manifest& manifest, const std::filesystem::path& audit_file,
                            const std::vector<std::string>& trust);

// What the guest's init is told.
wire::GuestConfig guest_config(const workspace::Manifest& manifest, bool host_has_ipv6);

// What is booted for a copy alone: the same disks, but no network, no command, no policy and no user of the image's.
workspace::Manifest for_a_copy(const workspace::Manifest& manifest);

// The guest's disks: its root, where it has an image, then its volumes.
std::vector<vm::Disk> disks(const workspace::Manifest& manifest, const std::filesystem::path& directory,
                            const std::filesystem::path& state_root);

// `tsc_khz` is the rate of the host's time stamp counter, which an emulated guest sees.
std::string kernel_arguments(vm::Accelerator accelerator, std::uint32_t tsc_khz);

}  // namespace microagent::supervisor
