#include "mediator/mediation_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "mediator/io.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;

tl::unexpected<Error> bad(std::string_view key, std::string_view why) {
  return fail(ErrorKind::permanent, fmt::format("mediator configuration: mediation.{}: {}", key, why));
}

template <typename T>
bool read_number(const Json& object, const char* key, T& out) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned() || !std::in_range<T>(found->get<std::uint64_t>()))
    return false;
  out = found->get<T>();
  return true;
}

bool read_text(const Json& object, const char* key, std::string& out) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return false;
  out = found->get<std::string>();
  return true;
}

}  // namespace

Result<MediationConfig> parse_mediation_config(const Json& object) {
  if (!object.is_object()) return bad("", "an object is wanted");
  MediationConfig config;
  if (!read_number(object, "port", config.port)) return bad("port", "a number is wanted");
  if (!read_text(object, "text", config.text)) return bad("text", "a text is wanted");
  const bool is_unix = object.contains("path");
  if (is_unix && (!read_text(object, "path", config.target.path) || config.target.path.empty())) {
    return bad("path", "a text is wanted");
  }
  if (!is_unix && !read_text(object, "host", config.target.host)) return bad("host", "a text is wanted");
  if (!is_unix && !read_number(object, "tcpPort", config.target.port)) return bad("tcpPort", "a number is wanted");
  if (object.size() != (is_unix ? 3 : 4)) return bad("", "an unknown key");
  return config;
}

MediationChannel::MediationChannel(asio::any_io_executor executor, HostTarget target, Report report)
    : executor_(std::move(executor)), target_(std::move(target)), report_(std::move(report)), look_again_(executor_) {}

void MediationChannel::start() { spawn(executor_, look_after()); }

asio::awaitable<tl::expected<Fd, DialError>> MediationChannel::connect(Delivery delivery) {
  ++connections_;
  auto dialled = co_await dial_host(target_, delivery, in(kDialTimeout));
  if (dialled) {
    note(dialled);
  } else {
    // Perhaps it is only of another kind than the guest wants.
    release(true);
  }
  co_return dialled;
}

void MediationChannel::release(bool failed) {
  --connections_;
  if (!failed) return;
  look_wanted_ = true;
  look_again_.cancel();
}

asio::awaitable<void> MediationChannel::look_after() {
  asio::steady_timer rest(executor_);
  for (std::chrono::milliseconds retry = kFirstRetry;;) {
    // Closed as soon as it stands.
    note(co_await probe());
    rest.expires_after(kFirstRetry);
    co_await rest.async_wait(kAsTuple);
    retry = ready_ ? kFirstRetry : std::min(2 * retry, kMaxRetry);
    // A failure during the rest is not forgotten.
    if (!look_wanted_) {
      look_again_.expires_after((ready_ ? kHeartbeat : retry) - kFirstRetry);
      co_await look_again_.async_wait(kAsTuple);
    }
    look_wanted_ = false;
  }
}

// A socket that keeps messages apart takes no streams, and is there all the same.
asio::awaitable<tl::expected<Fd, DialError>> MediationChannel::probe() {
  auto stream = co_await dial_host(target_, Delivery::stream, in(kDialTimeout));
  if (stream || target_.path.empty()) co_return stream;
  auto packets = co_await dial_host(target_, Delivery::packets, in(kDialTimeout));
  co_return packets ? std::move(packets) : std::move(stream);
}

void MediationChannel::note(const tl::expected<Fd, DialError>& dialled) {
  const bool ready = dialled.has_value();
  std::string error = ready ? std::string() : dialled.error().text;
  if (std::exchange(reported_, true) && ready == ready_ && error == error_) return;
  ready_ = ready;
  error_ = std::move(error);
  report_(ready_, error_);
}

}  // namespace microagent::mediator
