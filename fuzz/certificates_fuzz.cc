// Texts of certificates and keys, which users write and files hold.

#include "tls/authority.h"
#include "tls/client.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(microagent::tls::check_certificates(text));
  static_cast<void>(microagent::tls::Authority::parse(text));
  return 0;
}
