#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "credentials/io.h"
#include "policy/token_url.h"
#include "tls/client.h"

namespace microagent::credentials {

inline constexpr std::size_t kMaxFetched = 1024 * 1024;

struct FetchHeader {
  std::string name;
  Secret value;
};

struct FetchRequest {
  policy::TokenUrl url;
  std::vector<FetchHeader> headers;
  // POST of a form where there is one; else GET.
  Secret form;
};

struct FetchResponse {
  std::uint16_t status = 0;
  Secret body;
};

// Asks servers of tokens and secrets. Redirects are not followed, since they would take secrets elsewhere. Errors hold
// nothing of request or response.
class Fetcher {
 public:
  virtual ~Fetcher() = default;
  virtual asio::awaitable<Result<FetchResponse>> fetch(FetchRequest request) const = 0;
};

// Over HTTP/1.1, a connection each; a name is looked up as the host does.
std::shared_ptr<const Fetcher> make_fetcher(tls::ClientContext context,
                                            std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace microagent::credentials
