#include "credentials/fetcher.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "http/body_reader.h"
#include "http/head_reader.h"

namespace microagent::credentials {
namespace {

using asio::ip::tcp;

// One address that says nothing takes no more of the time than this part, so that the next may be tried.
constexpr int kShares = 3;

// One connection, with TLS or without.
class Line {
 public:
  Line(Descriptor descriptor, std::optional<tls::Connection> connection)
      : descriptor_(std::move(descriptor)), connection_(std::move(connection)) {}

  // Why it failed; empty when it did not.
  asio::awaitable<std::string> shake_hands() {
    while (connection_) {
      const auto done = connection_->handshake();
      if (done) break;
      if (!done.error().waits()) co_return why_not(done.error());
      if (!co_await wait(done.error().stop)) co_return "the connection failed within the handshake";
    }
    co_return std::string();
  }

  asio::awaitable<bool> write(ByteView bytes) {
    if (!connection_) co_return co_await write_all(descriptor_, bytes, kNever);
    while (!bytes.empty()) {
      const auto count = connection_->write(bytes);
      if (count) bytes = bytes.subspan(*count);
      else if (!count.error().waits() || !co_await wait(count.error().stop)) co_return false;
    }
    co_return true;
  }

  // Nothing when it failed or was cut off; 0 at its end.
  asio::awaitable<std::optional<std::size_t>> read(MutableBytes into) {
    if (!connection_) co_return co_await read_some(descriptor_, into, kNever);
    for (;;) {
      const auto count = connection_->read(into);
      if (count) co_return *count;
      if (count.error().stop == tls::Stop::ended) co_return std::size_t{0};
      if (!count.error().waits() || !co_await wait(count.error().stop)) co_return std::nullopt;
    }
  }

 private:
  std::string why_not(const tls::Trouble& trouble) const {
    return connection_->unverified() ? connection_->unverified()->text : "TLS: " + trouble.text;
  }

  asio::awaitable<bool> wait(tls::Stop stop) {
    const bool writes = stop == tls::Stop::want_write;
    const Wait wait = co_await (writes ? wait_writable(descriptor_, kNever) : wait_readable(descriptor_, kNever));
    co_return wait == Wait::ready;
  }

  Descriptor descriptor_;
  std::optional<tls::Connection> connection_;
};

bool has_line_break(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) != text.npos; }

// The whole request in memory that is wiped.
Secret encode(const FetchRequest& request) {
  const bool post = !request.form.empty();
  std::string head = fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
      "User-Agent: microagent\r\nConnection: close\r\n",
      post ? "POST" : "GET", request.url.target, request.url.authority);
  if (post) {
    head +=
        fmt::format("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", request.form.size());
  }
  std::vector<std::string_view> parts{head};
  for (const FetchHeader& header : request.headers) {
    parts.insert(parts.end(), {header.name, ": ", header.value.view(), "\r\n"});
  }
  parts.insert(parts.end(), {"\r\n", request.form.view()});
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  Secret text(size);
  auto out = text.bytes().begin();
  for (const std::string_view part : parts) out = std::ranges::copy(part, out).out;
  return text;
}

class NetFetcher final : public Fetcher {
 public:
  NetFetcher(tls::ClientContext context, std::chrono::milliseconds patience)
      : context_(std::make_shared<tls::ClientContext>(std::move(context))), patience_(patience) {}

  asio::awaitable<Result<FetchResponse>> fetch(FetchRequest request) const override {
    using namespace asio::experimental::awaitable_operators;
    const std::string name = request.url.name;
    asio::steady_timer timer(co_await asio::this_coro::executor, patience_);
    auto first = co_await (converse(std::move(request)) || timer.async_wait(kAsTuple));
    if (first.index() == 1) co_return fail(ErrorKind::transient, fmt::format("{} took too long to answer", name));
    auto response = std::move(std::get<0>(first));
    if (!response) co_return fail(with_context(response.error(), name));
    co_return std::move(*response);
  }

 private:
  static tl::unexpected<Error> failed(std::string why) { return fail(ErrorKind::transient, std::move(why)); }

  asio::awaitable<Result<FetchResponse>> converse(FetchRequest request) const {
    for (const FetchHeader& header : request.headers) {
      if (has_line_break(header.value.view())) co_return failed("a secret for it holds a line break");
    }
    auto line = co_await dial(request.url);
    if (!line) co_return fail(line.error());
    if (const std::string why = co_await (*line)->shake_hands(); !why.empty()) co_return failed(why);
    const Secret text = encode(request);
    if (!co_await (*line)->write(text_bytes(text.view()))) co_return failed("it did not take the request");
    co_return co_await receive(**line, request);
  }

  asio::awaitable<Result<std::unique_ptr<Line>>> dial(const policy::TokenUrl& url) const {
    using namespace asio::experimental::awaitable_operators;
    const auto executor = co_await asio::this_coro::executor;
    tcp::resolver resolver(executor);
    const auto [lookup, found] = co_await resolver.async_resolve(url.name, fmt::format("{}", url.port), kAsTuple);
    if (lookup) co_return failed("its name cannot be looked up");
    std::string why = "it has no address";
    for (const auto& entry : found) {
      const tcp::endpoint end = entry.endpoint();
      if (!url.tls && !end.address().is_loopback()) co_return failed("without TLS only the loopback is asked");
      tcp::socket socket(executor);
      asio::steady_timer share(executor, patience_ / kShares);
      const auto first = co_await (socket.async_connect(end, kAsTuple) || share.async_wait(kAsTuple));
      const auto refused = first.index() == 0 ? std::get<0>(std::get<0>(first)) : asio::error::timed_out;
      if (refused) {
        why = "cannot be reached: " + refused.message();
        continue;
      }
      co_return adopt(std::move(socket), url, fmt::format("{}:{}", end.address().to_string(), end.port()));
    }
    co_return failed(why);
  }

  Result<std::unique_ptr<Line>> adopt(tcp::socket socket, const policy::TokenUrl& url, std::string address) const {
    const auto executor = socket.get_executor();
    boost::system::error_code error;
    Fd fd(socket.release(error));
    if (error) return failed("its connection cannot be taken over");
    std::optional<tls::Connection> connection;
    if (url.tls) {
      auto made = context_->connect(fd.get(), {url.name, std::move(address), {"http/1.1"}});
      if (!made) return fail(made.error());
      connection.emplace(std::move(*made));
    }
    auto watched = watch(executor, std::move(fd));
    if (!watched) return fail(watched.error());
    return std::make_unique<Line>(std::move(*watched), std::move(connection));
  }

  static asio::awaitable<Result<FetchResponse>> receive(Line& line, const FetchRequest& request) {
    http::RequestMessage asked;
    asked.method = request.form.empty() ? "GET" : "POST";
    Secret buffer(kMaxFetched + http::kMaxMessageHead);
    std::size_t size = 0;
    bool ended = false;
    const auto more = [&]() -> asio::awaitable<bool> {
      if (size == buffer.size()) co_return false;
      const auto count = co_await line.read(mutable_bytes(buffer.bytes()).subspan(size));
      if (!count) co_return false;
      ended = *count == 0;
      size += *count;
      co_return true;
    };
    http::ResponseReader head;
    std::size_t head_size = 0;
    while (head.state() == http::HeadReader::State::incomplete) {
      const std::size_t before = size;
      if (!co_await more() || ended) co_return failed("it ended the connection without an answer");
      head_size += head.feed(text_bytes(buffer.view().substr(before, size - before)));
      if (head.state() == http::HeadReader::State::complete && http::is_interim(head.message())) {
        co_return failed("it answered in a way that was not asked for");
      }
    }
    if (head.state() == http::HeadReader::State::failed) co_return failed("its answer is no HTTP/1.1");
    FetchResponse response;
    response.status = head.message().status;
    if (response.status >= 300 && response.status < 400) {
      co_return failed(fmt::format("it answered with status {}, and redirects are not followed", response.status));
    }
    http::BodyReader body(http::response_framing(asked, head.message()));
    std::size_t read = head_size;
    std::vector<std::pair<std::size_t, std::size_t>> payload;
    while (!body.done()) {
      const auto piece = body.next(text_bytes(buffer.view().substr(read, size - read)));
      if (body.fault() != http::BodyFault::none) co_return failed("its answer is malformed");
      if (piece.size > 0) {
        if (piece.payload) payload.emplace_back(read, piece.size);
        read += piece.size;
        continue;
      }
      if (size == buffer.size()) co_return failed(fmt::format("its answer is larger than {} bytes", kMaxFetched));
      if (!co_await more()) co_return failed("the connection failed within the answer");
      if (ended && !body.on_end()) co_return failed("its answer was cut off");
      if (ended) break;
    }
    response.body = gather(buffer, payload);
    co_return response;
  }

  static Secret gather(const Secret& buffer, const std::vector<std::pair<std::size_t, std::size_t>>& pieces) {
    std::size_t size = 0;
    for (const auto& [at, length] : pieces) size += length;
    Secret body(size);
    auto out = body.bytes().begin();
    for (const auto& [at, length] : pieces) out = std::ranges::copy(buffer.view().substr(at, length), out).out;
    return body;
  }

  std::shared_ptr<tls::ClientContext> context_;
  std::chrono::milliseconds patience_;
};

}  // namespace

std::shared_ptr<const Fetcher> make_fetcher(tls::ClientContext context, std::chrono::milliseconds patience) {
  return std::make_shared<NetFetcher>(std::move(context), patience);
}

}  // namespace microagent::credentials
