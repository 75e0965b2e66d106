#include "credentials/client.h"

#include <utility>

#include "credentials/protocol.h"

namespace microagent::credentials {

Result<std::unique_ptr<Client>> Client::open(const asio::any_io_executor& executor, Fd socket, std::size_t swaps,
                                             std::chrono::milliseconds patience) {
  auto watched = watch(executor, std::move(socket));
  if (!watched) return fail(watched.error());
  auto state = std::make_shared<State>(std::move(*watched), swaps, patience);
  spawn(executor, receive(state));
  return std::unique_ptr<Client>(new Client(std::move(state)));
}

Client::~Client() {
  boost::system::error_code ignored;
  state_->socket.close(ignored);
}

std::optional<Credential> Client::at_hand(std::size_t swap) const {
  const Entry& entry = state_->entries.at(swap);
  if (!entry.known || Clock::now() >= entry.fresh_until) return std::nullopt;
  return entry.known;
}

asio::awaitable<Result<Credential>> Client::obtain(std::size_t swap) {
  if (auto known = at_hand(swap)) co_return std::move(*known);
  const std::shared_ptr<State> state = state_;
  Entry& entry = state->entries.at(swap);
  if (!state->fault.empty()) co_return fail(ErrorKind::transient, state->fault);
  std::shared_ptr<Flight> flight = entry.flight;
  if (!flight) {
    flight = entry.flight = std::make_shared<Flight>(asio::steady_timer(state->socket.get_executor(), state->patience));
    spawn(state->socket.get_executor(), ask(state, swap, std::exchange(entry.refused, 0)));
  }
  while (!flight->result && Clock::now() < flight->landed.expiry()) co_await flight->landed.async_wait(kAsTuple);
  // Others' answers do not wait for this one: a vault, or whoever knows its address, may be slow.
  if (!flight->result) land(entry, fail(ErrorKind::transient, "it took too long to obtain"));
  co_return *flight->result;
}

void Client::refuse(std::size_t swap, std::uint64_t version) {
  Entry& entry = state_->entries.at(swap);
  if (!entry.known || entry.known->version != version) return;
  entry.refused = version;
  entry.known.reset();
}

asio::awaitable<void> Client::ask(std::shared_ptr<State> state, std::size_t swap, std::uint64_t refused) {
  const Ask question{static_cast<std::uint32_t>(swap), 0, refused};
  if (co_await write_all(state->socket, bytes_of(question), kNever)) co_return;
  give_up(*state, "the process that holds the credentials has ended");
}

asio::awaitable<void> Client::receive(std::shared_ptr<State> state) {
  Secret packet(kMaxAnswer + 1);
  for (;;) {
    const std::size_t size = co_await read_some(state->socket, mutable_bytes(packet.bytes()), kNever);
    if (size == 0) co_return give_up(*state, "the process that holds the credentials has ended");
    auto answer = parse_answer(text_bytes(packet.view().substr(0, size)));
    if (!answer || answer->swap >= state->entries.size()) {
      co_return give_up(*state, "the process that holds the credentials does not say what it should");
    }
    land(state->entries[answer->swap], std::move(answer->credential));
  }
}

void Client::land(Entry& entry, Result<Credential> result) {
  if (result) {
    entry.known = *result;
    entry.fresh_until = Clock::now() + result->fresh;
  } else {
    entry.known.reset();
  }
  if (!entry.flight) return;
  const auto flight = std::exchange(entry.flight, nullptr);
  flight->result = std::move(result);
  flight->landed.cancel();
}

void Client::give_up(State& state, std::string why) {
  state.fault = why;
  for (Entry& entry : state.entries) land(entry, fail(ErrorKind::transient, why));
}

}  // namespace microagent::credentials
