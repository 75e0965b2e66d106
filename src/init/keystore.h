#pragma once

// What Java reads: it knows no list of certificates in PEM, but a store of its own.

#include <string>
#include <string_view>
#include <vector>

namespace microagent::init {

// The bytes of every certificate of a PEM text. What is none, or damaged, is passed over, as every reader of such lists
// does.
std::vector<std::string> certificates_of(std::string_view pem);

// A store in Java's own format (JKS) that trusts these certificates, with Java's customary password "changeit".
std::string encode_keystore(const std::vector<std::string>& certificates);

}  // namespace microagent::init
