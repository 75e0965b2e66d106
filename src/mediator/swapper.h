#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "credentials/client.h"
#include "http/echo_mask.h"
#include "mediator/io.h"
#include "mediator/request_gate.h"
#include "policy/swap.h"

namespace microagent::mediator {

// The swaps of a workspace at work: which host has one, and the credential that goes into its requests. Only the
// process that holds the secrets knows what credentials are made of (credentials/process.h).
class Swapper {
 public:
  // `socket` leads to that process.
  static Result<std::unique_ptr<Swapper>> open(const asio::any_io_executor& executor, policy::SwapSet swaps, Fd socket);

  // The swap of a canonical name; null where it has none.
  policy::SwapPtr find(std::string_view name) const { return swaps_.find(name); }

  // The credential of one of these swaps: what is known and fresh, or from the process, once for all who wait.
  std::optional<credentials::Credential> at_hand(const policy::Swap& swap);
  asio::awaitable<Result<credentials::Credential>> obtain(policy::SwapPtr swap);
  // The upstream refused it (401): it is looked at again before the next request.
  void refuse(const policy::Swap& swap, std::uint64_t version);

  // Before it goes into a request: from now on the answers are looked through for it.
  void send(const policy::Swap& swap, const credentials::Credential& credential);
  // What an upstream may send back, and nobody may see: the last credential that was sent, the one before it, and that
  // which the request of the `story` carried, however long ago. Null before the first.
  http::SecretFormsPtr secrets(const policy::Swap& swap, const RequestStory& story) const;

 private:
  struct Shown {
    std::uint64_t version = 0, version_before = 0;
    std::shared_ptr<const Secret> current, before;
    http::SecretFormsPtr forms;
  };

  Swapper(policy::SwapSet swaps, std::unique_ptr<credentials::Client> client);
  std::size_t index_of(const policy::Swap& swap) const;

  policy::SwapSet swaps_;
  std::unique_ptr<credentials::Client> client_;
  std::vector<Shown> shown_;  // of each swap
};

}  // namespace microagent::mediator
