#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace microagent::tls {

// The file of certificates that the host trusts; where there is none, where OpenSSL would have it.
std::filesystem::path system_file();

// The certificates of such a file in PEM, and nothing else; empty where there are none to be read, or more than `limit`
// bytes of them.
std::string system_roots(std::size_t limit, const std::filesystem::path& file = system_file());

}  // namespace microagent::tls
