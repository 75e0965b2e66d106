#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "credentials/tokens.h"

namespace microagent::credentials {

struct Credential {
  std::shared_ptr<const Secret> secret;
  std::uint64_t version = 0;           // another for every other secret of the swap; from 1
  std::chrono::milliseconds fresh{0};  // how long nobody need ask again
};

// Keeps the credential of every swap: made once for all who ask at the same time, used until it is too old, and its
// successor fetched before that. What fails is tried again after a while that grows, and until then fails at once.
class Keeper {
 public:
  using Make = std::function<asio::awaitable<Result<Minted>>(const policy::Swap&)>;
  using Now = std::function<Clock::time_point()>;

  // After a refusal by an upstream a reference is read again, though not more often than this.
  static constexpr std::chrono::seconds kBetweenForced{30};
  static constexpr std::chrono::seconds kLongestPause{60};

  Keeper(asio::any_io_executor executor, policy::SwapSet swaps, Make make, Now now = Clock::now);

  // `refused`: the version of the credential that the upstream has refused; 0: none.
  asio::awaitable<Result<Credential>> obtain(std::size_t swap, std::uint64_t refused = 0);

 private:
  // One making of a credential, and those who wait for it.
  struct Flight {
    explicit Flight(const asio::any_io_executor& executor) : landed(executor, Clock::time_point::max()) {}
    asio::steady_timer landed;
    std::optional<Result<Credential>> result;
  };

  struct Entry {
    policy::SwapPtr swap;
    std::shared_ptr<const Secret> secret;
    std::uint64_t version = 0;
    Clock::time_point usable_until, refresh_at;
    std::optional<Clock::time_point> forced_at;
    // After failures.
    unsigned failures = 0;
    Clock::time_point retry_at;
    Error error;
    std::shared_ptr<Flight> flight;
  };

  bool is_usable(const Entry& entry) const { return entry.secret && now_() < entry.usable_until; }
  bool must_pause(const Entry& entry) const { return entry.failures > 0 && now_() < entry.retry_at; }
  bool take_refusal(Entry& entry, std::uint64_t refused) const;
  Credential credential(const Entry& entry) const;
  std::shared_ptr<Flight> begin(Entry& entry);
  asio::awaitable<void> fly(Entry& entry, std::shared_ptr<Flight> flight);
  Result<Credential> land(Entry& entry, Result<Minted> made);

  asio::any_io_executor executor_;
  std::vector<Entry> entries_;
  Make make_;
  Now now_;
};

}  // namespace microagent::credentials
