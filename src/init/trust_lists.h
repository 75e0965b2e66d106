#pragma once

// The lists of certificates in PEM that a guest's programs read, and what the distributions' tools make them anew from.

#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::init {

inline constexpr const char* kTrustedCertificate = "/etc/microagent/egress-ca.pem";
// Leads to the guest's own list, so that whatever is done to that counts for those who are told of this one.
inline constexpr const char* kTrustedBundle = "/etc/microagent/egress-ca-bundle.pem";
inline constexpr std::size_t kMaxList = 16 * 1024 * 1024;

// What is to be in the lists, each in PEM.
struct ListTrust {
  std::string certificate;  // of the authority that intercepts
  std::string earlier;      // the one before it, which is taken out; may be empty or the same
  std::string roots;        // whom a guest is to trust that has nobody of its own to trust
};

// Puts the certificate into each list of the guest that lies under `root` ("" for /), and where the tools that make the
// lists anew look for more, whether they are there already or come later. A guest without a list gets one in the place
// where its distribution's would be. Then reads everything back. An error says what did not succeed first; what could
// be done is done.
Status install_lists(const std::string& root, const ListTrust& trust);

// Takes the certificate away again, and a list that held nothing of the guest's own.
Status remove_lists(const std::string& root, std::string_view certificate);

// Whether the guest trusts anybody by itself.
bool has_own_list(const std::string& root);

// An error where the file does not hold this text.
Status check_holds(const std::string& path, std::string_view text);

// A list of certificates without what we put into it, and with it.
std::string without_ours(std::string_view list);
std::string with_ours(std::string_view list, std::string_view certificate, std::string_view roots = {});

}  // namespace microagent::init
