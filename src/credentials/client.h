#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "credentials/keeper.h"

namespace microagent::credentials {

// The mediator's end: asks the process that holds the secrets, once for all who wait, and remembers its answers for as
// long as it said.
class Client {
 public:
  // Longer than any answer takes: references, then a token, at ten seconds each.
  static constexpr std::chrono::seconds kPatience{45};

  static Result<std::unique_ptr<Client>> open(const asio::any_io_executor& executor, Fd socket, std::size_t swaps,
                                              std::chrono::milliseconds patience = kPatience);

  ~Client();  // the process ends with it

  // What is known and fresh; nothing when the process must be asked.
  std::optional<Credential> at_hand(std::size_t swap) const;
  asio::awaitable<Result<Credential>> obtain(std::size_t swap);
  // The upstream refused this version (401): the next who asks has it looked at again.
  void refuse(std::size_t swap, std::uint64_t version);

 private:
  struct Flight {
    explicit Flight(asio::steady_timer deadline) : landed(std::move(deadline)) {}
    asio::steady_timer landed;
    std::optional<Result<Credential>> result;
  };
  struct Entry {
    std::optional<Credential> known;
    Clock::time_point fresh_until;
    std::uint64_t refused = 0;
    std::shared_ptr<Flight> flight;
  };
  // Outlives the client, for the coroutines that hold on to it.
  struct State {
    State(Descriptor descriptor, std::size_t swaps, std::chrono::milliseconds how_long)
        : socket(std::move(descriptor)), patience(how_long), entries(swaps) {}
    Descriptor socket;
    std::chrono::milliseconds patience;
    std::vector<Entry> entries;
    std::string fault;  // why nothing will come any more
  };

  explicit Client(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static asio::awaitable<void> receive(std::shared_ptr<State> state);
  static asio::awaitable<void> ask(std::shared_ptr<State> state, std::size_t swap, std::uint64_t refused);
  static void land(Entry& entry, Result<Credential> result);
  static void give_up(State& state, std::string why);

  std::shared_ptr<State> state_;
};

}  // namespace microagent::credentials
