#include "tls/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstring>

#include "tls/certificates.h"
#include "tls/testing/certificates.h"

namespace microagent::tls {
namespace {

using ::testing::HasSubstr;
using testing::kDay;
using ::testing::Not;

CertificatePtr read(const std::string& pem) { return std::move(read_certificates(pem).value().front()); }

// What a strict client says of the leaf when it trusts nothing but the authority.
std::string verify(const std::string& leaf_pem, const std::string& authority_pem, const std::string& host) {
  const CertificatePtr leaf = read(leaf_pem), root = read(authority_pem);
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, root.get());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf.get(), nullptr);
  X509_VERIFY_PARAM* wanted = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_purpose(wanted, X509_PURPOSE_SSL_SERVER);
  if (address_bytes(host).empty()) {
    X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
  }
  X509_verify_cert(context);
  const std::string said = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return said;
}

TEST(Authority, IssuesWhatAStrictClientBelieves) {
  Authority authority = Authority::make("w1").value();
  for (const char* name : {"a.example", "_x.a-b.example", "192.0.2.7", "2001:db8::1"}) {
    const Leaf leaf = authority.issue(name).value();
    EXPECT_EQ(leaf.name(), name);
    EXPECT_EQ(verify(leaf.certificate_pem(), authority.certificate_pem(), name), "ok") << name;
    EXPECT_THAT(verify(leaf.certificate_pem(), authority.certificate_pem(), "b.example"), HasSubstr("mismatch"));
  }
}

TEST(Authority, IssuesForTheLongestName) {
  Authority authority = Authority::make("w1").value();
  std::string name(253, 'a');
  for (std::size_t i = 63; i < name.size(); i += 64) name[i] = '.';
  const Leaf leaf = authority.issue(name).value();
  EXPECT_EQ(verify(leaf.certificate_pem(), authority.certificate_pem(), name), "ok");
}

TEST(Authority, IssuesNothingForWhatIsNoName) {
  Authority authority = Authority::make("w1").value();
  for (const char* name : {"", ".", "a..b", ".a", "a.", "*.example", "a,b.example", "A.example", "a b", "a\n"}) {
    EXPECT_FALSE(authority.issue(name)) << name;
  }
  EXPECT_FALSE(authority.issue(std::string(254, 'a')));
}

TEST(Authority, ShowsTheSameLeafUntilItIsOld) {
  const std::time_t now = std::time(nullptr);
  Authority authority = Authority::make("w1", now).value();
  const std::string first = authority.issue("a.example", now).value().certificate_pem();
  EXPECT_EQ(authority.issue("a.example", now + 5 * kDay).value().certificate_pem(), first);
  EXPECT_NE(authority.issue("a.example", now + 7 * kDay).value().certificate_pem(), first);
  EXPECT_NE(authority.issue("b.example", now).value().certificate_pem(), first);
}

// Read again at the latest moment, and asked for the same name for years: nobody restarts the workspace meanwhile.
TEST(Authority, OutlastsAWorkspaceThatRunsForYears) {
  const std::time_t made = std::time(nullptr), start = made + 1800 * kDay;
  Authority authority = Authority::parse(Authority::make("w1", made).value().pem(), start).value();
  for (int day = 0; day < 5 * 365; day += 3) {
    const std::time_t now = start + day * kDay;
    const auto leaf = authority.issue("a.example", now);
    ASSERT_TRUE(leaf) << day;
    const CertificatePtr certificate = read(leaf->certificate_pem());
    EXPECT_LE(time_of(X509_get0_notBefore(certificate.get())).value(), now) << day;
    EXPECT_GE(time_of(X509_get0_notAfter(certificate.get())).value(), now + kDay) << day;
  }
}

TEST(Authority, IssuesNothingBeyondItsOwnEnd) {
  const std::time_t now = std::time(nullptr);
  Authority authority = Authority::make("w1", now).value();
  const CertificatePtr leaf = read(authority.issue("a.example", now + 3647 * kDay).value().certificate_pem());
  const CertificatePtr root = read(authority.certificate_pem());
  EXPECT_EQ(time_of(X509_get0_notAfter(leaf.get())), time_of(X509_get0_notAfter(root.get())));
  const auto late = authority.issue("b.example", now + 3651 * kDay);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("expired"));
}

TEST(Authority, IsOfTheWorkspaceAndNoTwoAreTheSame) {
  const Authority one = Authority::make("w1").value(), other = Authority::make("w1").value();
  EXPECT_NE(one.fingerprint(), other.fingerprint());
  EXPECT_EQ(one.fingerprint().size(), 64u);
  EXPECT_EQ(one.subject_hash(), other.subject_hash());
  EXPECT_NE(one.subject_hash(), Authority::make("w2").value().subject_hash());
  EXPECT_EQ(one.subject_hash().size(), 8u);
  const CertificatePtr certificate = read(one.certificate_pem());
  EXPECT_EQ(X509_get_pathlen(certificate.get()), 0);
  EXPECT_EQ(verify(one.certificate_pem(), one.certificate_pem(), "w1").find("self"), std::string::npos);
}

TEST(Authority, ComesBackFromItsText) {
  Authority made = Authority::make("w1").value();
  Authority read_again = Authority::parse(made.pem()).value();
  EXPECT_EQ(read_again.fingerprint(), made.fingerprint());
  EXPECT_EQ(read_again.pem(), made.pem());
  const Leaf leaf = read_again.issue("a.example").value();
  EXPECT_EQ(verify(leaf.certificate_pem(), made.certificate_pem(), "a.example"), "ok");
  EXPECT_THAT(made.certificate_pem(), Not(HasSubstr("PRIVATE")));
}

TEST(Authority, IsNotReadFromAPartOfItsText) {
  const std::string text = Authority::make("w1").value().pem();
  // But for the last line's end, which says nothing.
  for (std::size_t size = 0; size + 1 < text.size(); size += 7) {
    EXPECT_FALSE(Authority::parse(text.substr(0, size))) << size;
  }
  EXPECT_FALSE(Authority::parse(std::string(100'000, 'x')));
}

TEST(Authority, IsNotReadWhenItsTimeIsOver) {
  const std::time_t now = std::time(nullptr);
  const std::string text = Authority::make("w1", now).value().pem();
  EXPECT_TRUE(Authority::parse(text, now + 1800 * kDay));
  const auto soon = Authority::parse(text, now + 1850 * kDay), late = Authority::parse(text, now + 3700 * kDay);
  const auto early = Authority::parse(text, now - 30 * kDay);
  ASSERT_FALSE(soon || late || early);
  EXPECT_THAT(soon.error().message, HasSubstr("expire soon"));
  EXPECT_THAT(late.error().message, HasSubstr("has expired"));
  EXPECT_THAT(early.error().message, HasSubstr("not valid yet"));
}

std::string key_pem(EVP_PKEY* key, const char* password = nullptr) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, password ? EVP_aes_256_cbc() : nullptr, password,
                                password ? static_cast<int>(std::strlen(password)) : 0, nullptr, nullptr);
  return written(bio.get());
}

TEST(Authority, IsReadFromNothingButAPair) {
  const testing::Identity root = testing::make_root(), other = testing::make_root();
  EXPECT_FALSE(Authority::parse(key_pem(root.key.get()) + root.pem())) << "a month is too short";
  const testing::Identity good = testing::make({.names = "", .authority = true, .end = 2000 * kDay});
  EXPECT_TRUE(Authority::parse(key_pem(good.key.get()) + good.pem()));
  const auto message = [](const std::string& text) { return Authority::parse(text).error().message; };
  EXPECT_THAT(message(key_pem(other.key.get()) + good.pem()), HasSubstr("not the certificate's"));
  EXPECT_THAT(message(good.pem()), HasSubstr("no private key"));
  EXPECT_THAT(message(key_pem(good.key.get())), HasSubstr("no certificate"));
  EXPECT_THAT(message(key_pem(good.key.get(), "secret") + good.pem()), HasSubstr("no private key"));
  const testing::Identity server = testing::make({.end = 2000 * kDay});
  EXPECT_THAT(message(key_pem(server.key.get()) + server.pem()), HasSubstr("no authority"));
}

TEST(Certificates, AreReadWithWhatStandsAroundThem) {
  const std::string one = testing::make_root("one").pem(), two = testing::make_root("two").pem();
  EXPECT_EQ(read_certificates("# ours\n" + one + "\nCN = two\n" + two).value().size(), 2u);
}

TEST(Certificates, AreTakenOutOfWhatStandsAroundThem) {
  const std::string one = testing::make_root("one").pem(), two = testing::make_root("two").pem();
  const std::string trusted = "-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n";
  EXPECT_EQ(certificate_blocks("# ours\n" + one + "\nCN = two\n" + trusted + two + two.substr(0, 100)), one + two);
  EXPECT_EQ(certificate_blocks("hello"), "");
}

TEST(Certificates, AreRefusedWithTheLine) {
  const testing::Identity root = testing::make_root();
  const auto message = [](const std::string& text) { return read_certificates(text).error().message; };
  EXPECT_THAT(message(""), HasSubstr("no certificate"));
  EXPECT_THAT(message("hello"), HasSubstr("no certificate"));
  EXPECT_THAT(message("a\nb\n" + key_pem(root.key.get())), HasSubstr("line 3: a private key"));
  EXPECT_THAT(message("a\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
              HasSubstr("line 2: not a certificate"));
  EXPECT_THAT(message("-----BEGIN CERTIFICATE-----\nAAAA"), HasSubstr("line 1: not a certificate"));
  EXPECT_THAT(message("\n-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"), HasSubstr("line 2: \"X509 CRL\""));
}

}  // namespace
}  // namespace microagent::tls
