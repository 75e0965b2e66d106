#include "mediator/swapper.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace microagent::mediator {
namespace {

http::SecretFormsPtr forms_of(std::initializer_list<std::shared_ptr<const Secret>> secrets) {
  std::vector<std::string> texts;
  for (const auto& secret : secrets) {
    if (secret) texts.emplace_back(secret->view());
  }
  auto forms = std::make_shared<const http::SecretForms>(texts);
  for (std::string& text : texts) wipe(text);
  return forms;
}

}  // namespace

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
  return client_->obtain(index_of(*swap));
}

void Swapper::refuse(const policy::Swap& swap, std::uint64_t version) { client_->refuse(index_of(swap), version); }

void Swapper::send(const policy::Swap& swap, const credentials::Credential& credential) {
  Shown& shown = shown_[index_of(swap)];
  if (shown.version == credential.version) return;
  shown.version_before = std::exchange(shown.version, credential.version);
  shown.before = std::exchange(shown.current, credential.secret);
  shown.forms = forms_of({shown.current, shown.before});
}

http::SecretFormsPtr Swapper::secrets(const policy::Swap& swap, const RequestStory& story) const {
  const Shown& shown = shown_[index_of(swap)];
  const bool is_late = story.credential == shown.version || story.credential == shown.version_before;
  if (!story.carried || is_late) return shown.forms;
  if (!story.old.forms || story.old.latest != shown.version) {
    story.old = {shown.version, forms_of({shown.current, shown.before, story.carried})};
  }
  return story.old.forms;
}

}  // namespace microagent::mediator
