#include "tls/testing/certificates.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "tls/certificates.h"

namespace microagent::tls::testing {
namespace {

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  MICROAGENT_CHECK(extension && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

long random_number() {
  std::uint32_t number = 0;
  MICROAGENT_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&number), sizeof(number)) == 1);
  return static_cast<long>(number) + 1;
}

}  // namespace

Identity make(const Wish& wish, const Identity* issuer) {
  Identity made{CertificatePtr(X509_new()), make_key().value()};
  X509* const certificate = made.certificate.get();
  X509* const parent = issuer ? issuer->certificate.get() : certificate;
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), random_number());
  X509_gmtime_adj(X509_getm_notBefore(certificate), wish.begin);
  X509_gmtime_adj(X509_getm_notAfter(certificate), wish.end);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(parent));
  X509_set_pubkey(certificate, made.key.get());
  extend(certificate, parent, NID_basic_constraints, wish.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (wish.authority) extend(certificate, parent, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
  extend(certificate, parent, NID_subject_key_identifier, "hash");
  if (!wish.purposes.empty()) extend(certificate, parent, NID_ext_key_usage, wish.purposes);
  if (!wish.names.empty()) extend(certificate, parent, NID_subject_alt_name, wish.names);
  MICROAGENT_CHECK(X509_sign(certificate, issuer ? issuer->key.get() : made.key.get(), wish.digest) > 0);
  return made;
}

Identity make_root(const std::string& common_name) {
  return make({.common_name = common_name, .names = "", .authority = true});
}

Identity make_intermediate(const Identity& root) {
  return make({.common_name = "intermediate", .names = "", .authority = true}, &root);
}

std::vector<unsigned char> make_staple(const Identity& about, const Identity& issuer, const Identity& signer,
                                       bool revoked) {
  OCSP_BASICRESP* answer = OCSP_BASICRESP_new();
  OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), about.certificate.get(), issuer.certificate.get());
  ASN1_TIME* now = X509_gmtime_adj(nullptr, 0);
  ASN1_TIME* next = X509_gmtime_adj(nullptr, kDay);
  OCSP_basic_add1_status(answer, id, revoked ? V_OCSP_CERTSTATUS_REVOKED : V_OCSP_CERTSTATUS_GOOD, 0,
                         revoked ? now : nullptr, now, next);
  MICROAGENT_CHECK(OCSP_basic_sign(answer, signer.certificate.get(), signer.key.get(), EVP_sha256(), nullptr, 0) == 1);
  OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, answer);
  unsigned char* bytes = nullptr;
  const int size = i2d_OCSP_RESPONSE(response, &bytes);
  MICROAGENT_CHECK(size > 0);
  std::vector<unsigned char> staple(bytes, bytes + size);
  OPENSSL_free(bytes);
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(answer);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(now);
  ASN1_TIME_free(next);
  return staple;
}

}  // namespace microagent::tls::testing
