#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "credentials/fetcher.h"
#include "credentials/sources.h"
#include "policy/swap.h"

namespace microagent::credentials {

// A credential as it is put into requests.
struct Minted {
  Secret secret;
  std::chrono::milliseconds usable{0};         // how long it may be put into requests
  std::chrono::milliseconds refresh_after{0};  // when the next one is to be fetched; no later than `usable`
};

// Makes credentials of references: reads them, signs with them, has tokens issued for them.
class Mint {
 public:
  using WallClock = std::function<std::chrono::system_clock::time_point()>;
  Mint(std::shared_ptr<const Sources> sources, std::shared_ptr<const Fetcher> fetcher, WallClock now)
      : sources_(std::move(sources)), fetcher_(std::move(fetcher)), now_(std::move(now)) {}

  // Errors name references and servers, never what they hold.
  asio::awaitable<Result<Minted>> make(const policy::Swap& swap) const;

 private:
  asio::awaitable<Result<Minted>> read_key(const policy::Swap& swap) const;
  asio::awaitable<Result<Minted>> ask_for_token(const policy::Swap& swap) const;
  asio::awaitable<Result<Minted>> sign(const policy::Swap& swap) const;
  asio::awaitable<Result<Minted>> exchange(const policy::Swap& swap, Secret form) const;

  std::shared_ptr<const Sources> sources_;
  std::shared_ptr<const Fetcher> fetcher_;
  WallClock now_;
};

// Key and value of a form (application/x-www-form-urlencoded), joined in memory that is wiped.
Secret encode_form(const std::vector<std::pair<std::string_view, std::string_view>>& fields);

struct Token {
  Secret secret;
  std::optional<std::chrono::seconds> lifetime;
};
// RFC 6749, 5.1. What is no token is an error that holds nothing of the answer but the RFC's own words for errors.
Result<Token> parse_token(const FetchResponse& response, const std::string& field);

// A token is not used within the minute before it ends, and its successor is fetched before that.
Minted minted(Secret secret, std::chrono::seconds lifetime);

}  // namespace microagent::credentials
