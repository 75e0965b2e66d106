#pragma once

// A database of NSS, the library of Chromium's kin for what a user trusts, that holds one authority. NSS keeps a
// certificate and what it is trusted for as two objects of PKCS #11 in cert9.db, a file of SQLite, signs the latter in
// key4.db beside it, and makes key4.db, with those signatures, where it is missing.

#include <optional>
#include <string>
#include <string_view>

namespace microagent::init {

// cert9.db with one certificate (DER) that is trusted to sign those of servers. Nothing where it is no certificate.
std::optional<std::string> encode_nss_database(std::string_view certificate);

// Whether cert9.db is as we wrote it, or has nothing in it: it may be replaced.
bool may_replace_nss_database(std::string_view file);
// Whether it is as we wrote it.
bool is_our_nss_database(std::string_view file);

}  // namespace microagent::init
