#include "tls/verify.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/x509v3.h>

#include <array>

#include "tls/certificates.h"
#include "tls/connection_state.h"

namespace microagent::tls {
namespace {

constexpr int kNamesTold = 5;
constexpr std::size_t kNameTold = 100;  // characters; the server chose them

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kNameTold)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown;
}

std::string text_of(const GENERAL_NAME* name) {
  const auto* data = ASN1_STRING_get0_data(name->d.ia5);
  const auto size = static_cast<std::size_t>(ASN1_STRING_length(name->d.ia5));
  if (name->type == GEN_DNS) return printable({reinterpret_cast<const char*>(data), size});
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (size != 4 && size != 16) return {};
  return inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text.data(), text.size()) ? text.data() : "";
}

// "a.example, *.b.example and 3 more"
std::string names_of(const X509* certificate) {
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string list;
  int told = 0, more = 0;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    if (told == kNamesTold) {
      ++more;
      continue;
    }
    list += fmt::format("{}{}", told++ ? ", " : "", text_of(name));
  }
  if (more) list += fmt::format(" and {} more", more);
  return list;
}

std::string issuer_of(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), X509_get_issuer_name(certificate), 0, XN_FLAG_ONELINE) < 0) return "?";
  return printable(written(bio.get()));
}

std::string date_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min);
}

// `certificate` is the one of the chain that is at fault, at `depth` from the server's own.
Unverified explain(int error, const X509* certificate, int depth) {
  const char* which = depth == 0 ? "the certificate" : "a certificate of the chain";
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {VerifyFault::expired, fmt::format("{} expired at {}", which, date_of(X509_get0_notAfter(certificate)))};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {VerifyFault::not_yet_valid,
              fmt::format("{} is valid only from {}", which, date_of(X509_get0_notBefore(certificate)))};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: {
      const std::string names = names_of(certificate);
      return {VerifyFault::wrong_name,
              names.empty() ? "the certificate is for no name" : fmt::format("the certificate is for {}", names)};
    }
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return {VerifyFault::self_signed, "the certificate is signed by itself"};
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return {VerifyFault::self_signed,
              fmt::format("the chain ends in a root that is not trusted: {}", issuer_of(certificate))};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
      return {VerifyFault::unknown_issuer, fmt::format("the issuer is not known: {}", issuer_of(certificate))};
    case X509_V_ERR_CERT_REVOKED: return {VerifyFault::revoked, fmt::format("{} is revoked", which)};
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return {VerifyFault::too_weak, fmt::format("{} is too weak: {}", which, X509_verify_cert_error_string(error))};
    default:
      return {VerifyFault::invalid, fmt::format("{} is not valid: {}", which, X509_verify_cert_error_string(error))};
  }
}

int on_verified(int good, X509_STORE_CTX* store) {
  if (good) return 1;
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const X509* certificate = X509_STORE_CTX_get_current_cert(store);
  if (!certificate) certificate = X509_STORE_CTX_get0_cert(store);
  state_of(ssl).unverified =
      explain(X509_STORE_CTX_get_error(store), certificate, X509_STORE_CTX_get_error_depth(store));
  return 0;
}

}  // namespace

void watch_verification(SSL_CTX* context) { SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verified); }

bool expect_name(SSL* ssl, const std::string& name) {
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
  const std::string address = address_bytes(name);
  if (!address.empty()) {
    return X509_VERIFY_PARAM_set1_ip(wanted, reinterpret_cast<const unsigned char*>(address.data()), address.size()) ==
           1;
  }
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return !name.empty() && X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size()) == 1 &&
         SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

}  // namespace microagent::tls
