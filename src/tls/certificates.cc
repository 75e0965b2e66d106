#include "tls/certificates.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstring>

namespace microagent::tls {
namespace {

constexpr std::size_t kMaxCommonName = 64;  // ub-common-name of RFC 5280
constexpr int kSerialBits = 127;            // so that it is positive in 16 bytes

using NumberPtr = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;
using NamePtr = std::unique_ptr<GENERAL_NAME, Freed<GENERAL_NAME_free>>;
using OctetsPtr = std::unique_ptr<ASN1_OCTET_STRING, Freed<ASN1_OCTET_STRING_free>>;

bool set_serial(X509* certificate) {
  const NumberPtr number(BN_new());
  return number && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_times(X509* certificate, const Draft& draft) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), draft.not_before) &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), draft.not_after);
}

bool set_subject(X509* certificate, const std::string& common_name) {
  const std::string_view fits = std::string_view(common_name).substr(0, kMaxCommonName);
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(fits.data()), static_cast<int>(fits.size()),
                                    -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Built by hand: OpenSSL's own notation would read a comma in the name as the end of it.
bool add_name(X509* certificate, const std::string& name) {
  const NamesPtr names(GENERAL_NAMES_new());
  NamePtr entry(GENERAL_NAME_new());
  const std::string address = address_bytes(name);
  const std::string& value = address.empty() ? name : address;
  OctetsPtr text(ASN1_STRING_type_new(address.empty() ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING));
  if (!names || !entry || !text) return false;
  if (ASN1_STRING_set(text.get(), value.data(), static_cast<int>(value.size())) != 1) return false;
  GENERAL_NAME_set0_value(entry.get(), address.empty() ? GEN_DNS : GEN_IPADD, text.release());
  if (sk_GENERAL_NAME_push(names.get(), entry.get()) <= 0) return false;
  (void)entry.release();
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bool add_extensions(X509* certificate, X509* issuer, const Draft& draft) {
  const bool authority = draft.role == Role::authority;
  const auto add = [&](int kind, const char* value) { return add_extension(certificate, issuer, kind, value); };
  // The identifier of the issuer's key comes from the issuer's own, which one that signs itself has only now got.
  return add(NID_basic_constraints, authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
         add(NID_key_usage, authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
         add(NID_subject_key_identifier, "hash") && add(NID_authority_key_identifier, "keyid:always") &&
         (authority || (add(NID_ext_key_usage, "serverAuth") && add_name(certificate, draft.name)));
}

// One block of a PEM text.
struct Block {
  std::string_view label;
  std::string_view text;
  std::size_t line = 0;
};

constexpr std::string_view kBegin = "-----BEGIN ", kDashes = "-----";
constexpr std::string_view kCertificateEnd = "-----END CERTIFICATE-----";

// Walks over the blocks of a PEM text.
class Blocks {
 public:
  explicit Blocks(std::string_view text) : text_(text) {}

  // Nothing at the end. A block that does not end runs to the end of the text.
  std::optional<Block> next() {
    const std::size_t begin = text_.find(kBegin, at_);
    if (begin == std::string_view::npos) return std::nullopt;
    count_lines(begin);
    const std::size_t label = begin + kBegin.size();
    const std::size_t label_end = std::min(text_.find(kDashes, label), text_.size());
    Block block{text_.substr(label, label_end - label), {}, line_};
    const std::string end_mark = fmt::format("-----END {}-----", block.label);
    const std::size_t end = text_.find(end_mark, label_end);
    const std::size_t stop = end == std::string_view::npos ? text_.size() : end + end_mark.size();
    block.text = text_.substr(begin, stop - begin);
    count_lines(stop);
    return block;
  }

 private:
  void count_lines(std::size_t to) {
    for (; at_ < to; ++at_) line_ += text_[at_] == '\n';
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

}  // namespace

Result<KeyPtr> make_key() {
  ERR_clear_error();
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return fail_openssl("cannot make a key");
  return key;
}

Result<CertificatePtr> make_certificate(const Draft& draft, EVP_PKEY* key, std::optional<Signer> signer) {
  ERR_clear_error();
  CertificatePtr certificate(X509_new());
  X509* const made = certificate.get();
  X509* const issuer = signer ? signer->certificate : made;
  const bool done = made && X509_set_version(made, X509_VERSION_3) == 1 && set_serial(made) && set_times(made, draft) &&
                    set_subject(made, draft.common_name) &&
                    X509_set_issuer_name(made, X509_get_subject_name(issuer)) == 1 && X509_set_pubkey(made, key) == 1 &&
                    add_extensions(made, issuer, draft) &&
                    X509_sign(made, signer ? signer->key : key, EVP_sha256()) > 0;
  if (!done) return fail_openssl("cannot make a certificate");
  return certificate;
}

std::optional<std::time_t> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return timegm(&parts);
}

std::string address_bytes(std::string_view text) {
  const std::string terminated(text);
  std::array<char, 16> bytes{};
  if (inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) return {bytes.data(), 4};
  if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return {bytes.data(), 16};
  return {};
}

Result<std::vector<CertificatePtr>> read_certificates(std::string_view pem) {
  std::vector<CertificatePtr> certificates;
  Blocks blocks(pem);
  while (const std::optional<Block> block = blocks.next()) {
    if (block->label.ends_with("PRIVATE KEY")) {
      return fail(ErrorKind::usage, fmt::format("line {}: a private key", block->line),
                  "give certificates only, and keep the key where it was");
    }
    if (block->label != "CERTIFICATE") {
      return fail(ErrorKind::usage, fmt::format("line {}: \"{}\" where a certificate is wanted", block->line,
                                                block->label.substr(0, kMaxCommonName)));
    }
    ERR_clear_error();
    const BioPtr bio = reading(block->text);
    CertificatePtr certificate(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
    if (!certificate) {
      return fail(ErrorKind::usage, fmt::format("line {}: not a certificate: {}", block->line, take_openssl_error()));
    }
    certificates.push_back(std::move(certificate));
  }
  if (certificates.empty()) return fail(ErrorKind::usage, "there is no certificate in it", "give a file in PEM format");
  return certificates;
}

std::string certificate_blocks(std::string_view pem) {
  std::string found;
  Blocks blocks(pem);
  while (const std::optional<Block> block = blocks.next()) {
    if (block->label == "CERTIFICATE" && block->text.ends_with(kCertificateEnd)) found.append(block->text) += '\n';
  }
  return found;
}

}  // namespace microagent::tls
