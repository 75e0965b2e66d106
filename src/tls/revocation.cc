#include <openssl/err.h>

#include "tls/connection_state.h"
#include "tls/verify.h"

namespace microagent::tls {
namespace {

using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, Freed<OCSP_RESPONSE_free>>;
using AnswerPtr = std::unique_ptr<OCSP_BASICRESP, Freed<OCSP_BASICRESP_free>>;
using QuestionPtr = std::unique_ptr<OCSP_CERTID, Freed<OCSP_CERTID_free>>;

AnswerPtr stapled_answer(SSL* ssl) {
  const unsigned char* bytes = nullptr;
  const long size = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
  if (!bytes || size <= 0) return nullptr;
  const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &bytes, size));
  if (!response || OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) return nullptr;
  return AnswerPtr(OCSP_response_get1_basic(response.get()));
}

// Whether the issuer, or who answers for it, has signed that the server's certificate is revoked. An answer that is
// old counts as well: a certificate that is revoked stays so.
bool says_revoked(SSL* ssl, OCSP_BASICRESP* answer) {
  STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl);
  if (!chain || sk_X509_num(chain) < 2) return false;
  X509_STORE* trusted = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
  if (OCSP_basic_verify(answer, chain, trusted, OCSP_TRUSTOTHER) <= 0) return false;
  for (int i = 0; i < OCSP_resp_count(answer); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(answer, i);
    const OCSP_CERTID* about = OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT* digest = nullptr;
    OCSP_id_get0_info(nullptr, &digest, nullptr, nullptr, const_cast<OCSP_CERTID*>(about));
    const EVP_MD* hash = EVP_get_digestbyobj(digest);
    const QuestionPtr ours(hash ? OCSP_cert_to_id(hash, sk_X509_value(chain, 0), sk_X509_value(chain, 1)) : nullptr);
    if (!ours || OCSP_id_cmp(ours.get(), about) != 0) continue;
    int reason = 0;
    if (OCSP_single_get0_status(single, &reason, nullptr, nullptr, nullptr) == V_OCSP_CERTSTATUS_REVOKED) return true;
  }
  return false;
}

int on_status(SSL* ssl, void*) {
  const AnswerPtr answer = stapled_answer(ssl);
  const bool revoked = answer && says_revoked(ssl, answer.get());
  ERR_clear_error();  // of an answer that is none
  if (!revoked) return 1;
  state_of(ssl).unverified = Unverified{VerifyFault::revoked, "the certificate is revoked"};
  return 0;
}

}  // namespace

void watch_revocation(SSL_CTX* context) {
  SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp);
  SSL_CTX_set_tlsext_status_cb(context, on_status);
}

}  // namespace microagent::tls
