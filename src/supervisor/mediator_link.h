#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "supervisor/io.h"
#include "workspace/manifest.h"
#include "workspace/state.h"

namespace microagent::supervisor {

// What the mediator has told about the guest so far (flow/control.h).
struct GuestFacts {
  bool ready = false;
  std::optional<workspace::EffectiveNetwork> network;  // absent when isolated
  std::vector<workspace::BootStage> stages;            // of the guest's boot, by its own clock
  std::optional<std::string> failure;                  // why the guest's init gave up
  std::optional<int> exit_code;                        // of the workload; 128 + signal when one ended it
  // Whether something is as it should be, and why not.
  struct Finding {
    bool ready = false;
    std::string error;
  };
  std::optional<Finding> mediation;           // the channel's target is reached
  std::optional<Finding> trust;               // the guest trusts what intercepts its TLS; absent where nothing does
  std::optional<std::uint64_t> result_bytes;  // of the one that is kept
  std::string result_error;                   // why a later one could not be kept
};

// Takes one control message in; false when it is none.
bool apply_control_message(const nlohmann::json& message, GuestFacts& facts);

// The lifecycle conversation with the mediator. Must outlive its event loop's run.
class MediatorLink {
 public:
  static Result<std::unique_ptr<MediatorLink>> open(const asio::any_io_executor& executor, Fd socket, Changes& changes);

  bool ready() const { return ready_; }
  const GuestFacts& facts() const { return facts_; }
  std::uint64_t revision() const { return revision_; }  // grows with every message about the guest
  // Why the conversation is over.
  const std::optional<std::string>& fault() const { return fault_; }

  // Asks the guest, through the mediator, for a clean end. False when that cannot be asked.
  bool ask_for_shutdown(std::chrono::milliseconds patience);

  // Sends a request (flow/control.h), with a descriptor beside it where there is one, and waits for its answer.
  asio::awaitable<Result<nlohmann::json>> request(nlohmann::json request, Fd passed = Fd());

  // Hangs up: the mediator writes down how its flows ended and ends itself.
  void close();

 private:
  MediatorLink(Descriptor socket, Changes& changes) : socket_(std::move(socket)), changes_(changes) {}
  asio::awaitable<void> receive();
  bool on_packet(ByteView packet);
  bool send(const nlohmann::json& message, const Fd& passed);
  void on_answer(const nlohmann::json& message);

  Descriptor socket_;
  Changes& changes_;
  GuestFacts facts_;
  std::uint64_t revision_ = 0;
  std::uint64_t last_request_ = 0;
  std::map<std::uint64_t, std::optional<Result<nlohmann::json>>> answers_;  // by request that waits
  bool ready_ = false;
  std::optional<std::string> fault_;
};

}  // namespace microagent::supervisor
