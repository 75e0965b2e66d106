#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/guest_config.h"

namespace microagent::init {

// The host's name, /etc/hostname, /etc/hosts, and /etc/resolv.conf where there is a network.
Status write_host_files(const wire::GuestConfig& config);

// The addresses of /etc/resolv.conf.
Result<std::vector<std::string>> read_resolvers();

// The files' contents.
std::string hosts_text(const wire::GuestConfig& config);
std::string resolv_conf_text(const std::vector<std::string>& dns);
std::vector<std::string> resolvers_of(std::string_view resolv_conf);

}  // namespace microagent::init
