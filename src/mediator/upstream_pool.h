#pragma once

// Upstreams' connections that no guest uses at the moment, for the next flow that wants the very same: so a client that
// is run again and again costs its server one handshake. What is kept has been verified for its name and is between two
// requests; nothing that its upstream has ended, or spoken on unasked (HTTP/1.1), or wants no more streams on (HTTP/2),
// is ever given away. Pings are answered meanwhile, and the upstream of one that is dropped is told so.

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "mediator/upstream_connection.h"

namespace microagent::mediator {

// Whom a connection leads to.
struct UpstreamKey {
  std::string name;               // that its certificate was verified for
  std::string address;            // that was judged and dialled, with the port
  std::vector<std::string> alpn;  // what was offered: another offer may be answered in another way
  bool operator==(const UpstreamKey&) const = default;
};

class UpstreamPool {
 public:
  static constexpr std::size_t kMaxKept = 64, kMaxOfOneKey = 8;
  static constexpr std::chrono::seconds kLongestIdle{30}, kSweep{5};

  explicit UpstreamPool(const asio::any_io_executor& executor) : sweep_(executor) {}
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;
  ~UpstreamPool() { clear(); }

  // The oldest goes where there are too many.
  void put(UpstreamKey key, UpstreamConnection connection);
  // The one that was used last of those that `fits` would have; none where there is none.
  using Fits = std::function<bool(const UpstreamConnection&)>;
  UpstreamConnection take(const UpstreamKey& key, const Fits& fits);
  // Whether there is one to this address, for whatever name.
  bool leads_to(const std::string& address) const;
  void clear();
  std::size_t size() const { return kept_.size(); }

 private:
  struct Kept {
    UpstreamKey key;
    UpstreamConnection connection;
    std::chrono::steady_clock::time_point since;

    Kept(UpstreamKey whose, UpstreamConnection which, std::chrono::steady_clock::time_point now)
        : key(std::move(whose)), connection(std::move(which)), since(now) {}
  };
  using KeptPtr = std::shared_ptr<Kept>;  // of the list, and of nobody else for longer than a call

  void listen(const KeptPtr& kept);
  void drop(KeptPtr kept);
  void sweep_later();
  void drop_old();

  std::list<KeptPtr> kept_;  // by age, the oldest first
  asio::steady_timer sweep_;
  bool sweeps_ = false;
};

}  // namespace microagent::mediator
