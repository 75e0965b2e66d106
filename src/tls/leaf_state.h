#pragma once

#include <ctime>
#include <memory>
#include <string>

#include "tls/authority.h"
#include "tls/openssl.h"

namespace microagent::tls {

struct Leaf::State {
  std::string name;
  CertificatePtr certificate;
  std::shared_ptr<EVP_PKEY> key;
  std::time_t not_after = 0;
};

}  // namespace microagent::tls
