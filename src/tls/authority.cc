#include "tls/authority.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>

#include "tls/certificates.h"
#include "tls/leaf_state.h"
#include "tls/recently_used.h"

namespace microagent::tls {
namespace {

constexpr std::time_t kHour = 3600, kDay = 24 * kHour;
constexpr std::time_t kYear = 365 * kDay;
// Nothing renews it while its guest runs, so what is left at a start has to outlast any workspace. Clients limit the
// life of server certificates only, and of public authorities'.
constexpr std::time_t kAuthorityLife = 10 * kYear;
constexpr std::time_t kAuthorityRest = 5 * kYear;  // at least, when it is read again
constexpr std::time_t kLeafLife = 7 * kDay;
constexpr std::time_t kLeafRest = kDay;   // at least, when it is shown again
constexpr std::time_t kClockSkew = kDay;  // by which the guest's clock may be behind
constexpr std::size_t kMaxPem = 64 * 1024;
constexpr std::size_t kMaxName = 253;

// Of a key that asks for a password there is none; OpenSSL would ask on the terminal.
int no_password(char*, int, int, void*) { return -1; }

bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (name.empty() || name.size() > kMaxName || !std::ranges::all_of(name, allowed)) return false;
  return name.front() != '.' && name.back() != '.' && name.find("..") == std::string_view::npos;
}

Status check_pair(X509* certificate, EVP_PKEY* key) {
  if (X509_check_private_key(certificate, key) != 1) {
    return fail(ErrorKind::permanent, "the key is not the certificate's");
  }
  if (X509_check_ca(certificate) != 1 || X509_self_signed(certificate, 1) != 1) {
    return fail(ErrorKind::permanent, "the certificate is no authority's");
  }
  return {};
}

Status check_time(X509* certificate, std::time_t now) {
  const std::optional<std::time_t> begin = time_of(X509_get0_notBefore(certificate));
  const std::optional<std::time_t> end = time_of(X509_get0_notAfter(certificate));
  if (!begin || !end) return fail(ErrorKind::permanent, "the certificate does not say when it is valid");
  if (*begin > now) return fail(ErrorKind::permanent, "the certificate is not valid yet");
  if (*end <= now) return fail(ErrorKind::permanent, "the certificate has expired");
  if (*end - now < kAuthorityRest) return fail(ErrorKind::permanent, "the certificate will expire soon");
  return {};
}

}  // namespace

struct Authority::State {
  CertificatePtr certificate;
  KeyPtr key;
  std::time_t begin = 0, end = 0;
  // One for all of them: making a key costs as much as the rest of a certificate, and a guest that knew one could
  // still not have any but its own traffic.
  std::shared_ptr<EVP_PKEY> leaf_key;
  RecentlyUsed<std::shared_ptr<const Leaf::State>> leaves{kMaxLeaves};
};

namespace {

Result<Authority> assemble(CertificatePtr certificate, KeyPtr key) {
  Result<KeyPtr> leaf_key = make_key();
  if (!leaf_key) return fail(std::move(leaf_key).error());
  auto state = std::make_unique<Authority::State>();
  state->begin = time_of(X509_get0_notBefore(certificate.get())).value_or(0);
  state->end = time_of(X509_get0_notAfter(certificate.get())).value_or(0);
  state->certificate = std::move(certificate);
  state->key = std::move(key);
  state->leaf_key = {leaf_key->release(), Freed<EVP_PKEY_free>{}};
  return Authority(std::move(state));
}

}  // namespace

const std::string& Leaf::name() const { return state_->name; }
std::string Leaf::certificate_pem() const { return pem_of(state_->certificate.get()); }

Authority::Authority(std::unique_ptr<State> state) : state_(std::move(state)) {}
Authority::Authority(Authority&&) noexcept = default;
Authority& Authority::operator=(Authority&&) noexcept = default;
Authority::~Authority() = default;

Result<Authority> Authority::make(std::string_view workspace, std::time_t now) {
  Result<KeyPtr> key = make_key();
  if (!key) return fail(std::move(key).error());
  const Draft draft{
      Role::authority, fmt::format("microagent {}", workspace), {}, now - kClockSkew, now + kAuthorityLife};
  Result<CertificatePtr> certificate = make_certificate(draft, key->get(), std::nullopt);
  if (!certificate) return fail(std::move(certificate).error());
  return assemble(std::move(*certificate), std::move(*key));
}

Result<Authority> Authority::parse(std::string_view pem, std::time_t now) {
  if (pem.size() > kMaxPem) return fail(ErrorKind::permanent, "too long for a key and a certificate");
  ERR_clear_error();
  // Each reader passes over what it does not look for, so each begins in front.
  const BioPtr for_key = reading(pem), for_certificate = reading(pem);
  if (!for_key || !for_certificate) return fail_openssl("cannot read");
  KeyPtr key(PEM_read_bio_PrivateKey(for_key.get(), nullptr, no_password, nullptr));
  if (!key) return fail_openssl("there is no private key in it");
  CertificatePtr certificate(PEM_read_bio_X509(for_certificate.get(), nullptr, no_password, nullptr));
  if (!certificate) return fail_openssl("there is no certificate in it");
  Status good = check_pair(certificate.get(), key.get()).and_then([&] { return check_time(certificate.get(), now); });
  ERR_clear_error();
  if (!good) return fail(std::move(good).error());
  return assemble(std::move(certificate), std::move(key));
}

std::string Authority::pem() const {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), state_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return {};
  }
  return written(bio.get()) + certificate_pem();
}

std::string Authority::certificate_pem() const { return pem_of(state_->certificate.get()); }

std::string Authority::fingerprint() const { return fingerprint_of(state_->certificate.get()); }

std::string Authority::subject_hash() const {
  return fmt::format("{:08x}", X509_subject_name_hash(state_->certificate.get()));
}

Result<Leaf> Authority::issue(std::string_view name, std::time_t now) {
  const std::string key(name);
  if (const auto* known = state_->leaves.find(key)) {
    if ((*known)->not_after - now >= kLeafRest) return Leaf(*known);
  }
  if (!is_name(name) && address_bytes(name).empty()) {
    return fail(ErrorKind::usage, "no name that a certificate can be issued for");
  }
  const std::time_t begin = std::max(now - kClockSkew, state_->begin), end = std::min(now + kLeafLife, state_->end);
  if (end <= now) {
    return fail(ErrorKind::permanent, "the workspace's certificate authority has expired", "restart the workspace");
  }
  const Draft draft{Role::server, key, key, begin, end};
  Result<CertificatePtr> certificate =
      make_certificate(draft, state_->leaf_key.get(), Signer{state_->certificate.get(), state_->key.get()});
  if (!certificate) return fail(std::move(certificate).error());
  auto leaf = std::make_shared<const Leaf::State>(Leaf::State{key, std::move(*certificate), state_->leaf_key, end});
  state_->leaves.obtain(key) = leaf;
  return Leaf(std::move(leaf));
}

}  // namespace microagent::tls
