#include "mediator/swapper.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace microagent::mediator {

Result<std::unique_ptr<Swapper>> Swapper::open(const asio::any_io_executor& executor, policy::SwapSet swaps,
                                               Fd socket) {
  if (!socket) return fail(ErrorKind::permanent, "there are swaps, but no process that holds their secrets");
  auto client = credentials::Client::open(executor, std::move(socket), swaps.all().size());
  if (!client) return fail(client.error());
  return std::unique_ptr<Swapper>(new Swapper(std::move(swaps), std::move(*client)));
}

Swapper::Swapper(policy::SwapSet swaps, std::unique_ptr<credentials::Client> client)
    : swaps_(std::move(swaps)), client_(std::move(client)), shown_(swaps_.all().size()) {}

std::size_t Swapper::index_of(const policy::Swap& swap) const {
  const auto& all = swaps_.all();
  const auto found = std::ranges::find(all, &swap, [](const policy::SwapPtr& each) { return each.get(); });
  MICROAGENT_CHECK(found != all.end());
  return static_cast<std::size_t>(found - all.begin());
}

std::optional<credentials::Credential> Swapper::at_hand(const policy::Swap& swap) {
  return client_->at_hand(index_of(swap));
}

asio::awaitable<Result<credentials::Credential>> Swapper::obtain(policy::SwapPtr swap) {
  const std::size_t index = index_of(*swap);
  auto credential = co_await client_->obtain(index);
  if (credential) remember(shown_[index], *credential);
  co_return credential;
}

void Swapper::refuse(const policy::Swap& swap, std::uint64_t version) { client_->refuse(index_of(swap), version); }

http::SecretFormsPtr Swapper::secrets(const policy::Swap& swap) const { return shown_[index_of(swap)].forms; }

// Before it is put into a request: the answer is looked through for it.
void Swapper::remember(Shown& shown, const credentials::Credential& credential) {
  if (shown.version == credential.version) return;
  shown.version = credential.version;
  shown.before = std::exchange(shown.current, credential.secret);
  std::vector<std::string> secrets;
  for (const auto& secret : {shown.current, shown.before}) {
    if (secret) secrets.emplace_back(secret->view());
  }
  shown.forms = std::make_shared<const http::SecretForms>(secrets);
  for (std::string& secret : secrets) wipe(secret);
}

}  // namespace microagent::mediator
