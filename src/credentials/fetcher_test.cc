#include "credentials/fetcher.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>

#include "credentials/test_loop.h"
#include "tls/testing/peers.h"

namespace microagent::credentials {
namespace {

using asio::ip::tcp;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A server on the loopback that takes one request and gives one answer, with TLS or without.
class FetcherTest : public testing::Test {
 protected:
  FetcherTest() : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

  asio::awaitable<void> serve() {
    auto [error, socket] = co_await acceptor_.async_accept(kAsTuple);
    if (error) co_return;
    ++connections_;
    Descriptor descriptor = watch(io_.get_executor(), Fd(socket.release())).value();
    std::optional<tls::Connection> tls;
    if (tls_ != nullptr) tls.emplace(tls::testing::serve(tls_, descriptor.native_handle()));
    const auto wait = [&](const tls::Trouble& trouble) {
      return trouble.stop == tls::Stop::want_write ? wait_writable(descriptor, kNever)
                                                   : wait_readable(descriptor, kNever);
    };
    while (tls) {
      const auto done = tls->handshake();
      if (done) break;
      if (!done.error().waits() || co_await wait(done.error()) != Wait::ready) co_return;
    }
    std::array<std::uint8_t, 4096> piece{};
    while (request_.find(until_) == std::string::npos) {
      std::size_t count = 0;
      if (tls) {
        const auto read = tls->read(piece);
        if (!read && (!read.error().waits() || co_await wait(read.error()) != Wait::ready)) co_return;
        if (read) count = *read;
      } else {
        count = co_await read_some(descriptor, piece, kNever);
        if (count == 0) co_return;
      }
      request_.append(reinterpret_cast<const char*>(piece.data()), count);
    }
    if (!tls) co_await write_all(descriptor, text_bytes(answer_), kNever);
    else if (tls->write(text_bytes(answer_))) static_cast<void>(tls->close_notify());
    if (silent_) co_await wait_readable(descriptor, kNever);
  }

  Result<FetchResponse> fetch(std::string form, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    asio::co_spawn(io_, serve(), [](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
    FetchRequest request;
    request.url = policy::parse_token_url(fmt::format("{}://localhost:{}/token", tls_ != nullptr ? "https" : "http",
                                                      acceptor_.local_endpoint().port()))
                      .value();
    request.form = Secret::of(form);
    request.headers.push_back({"X-Token", Secret::of(header_)});
    auto fetcher = make_fetcher(tls::ClientContext::make({{}, {root_.pem()}}).value(), patience);
    return run(io_, fetcher->fetch(std::move(request)));
  }

  std::string refusal(std::string answer) {
    answer_ = std::move(answer);
    request_.clear();
    const auto response = fetch("a=s3cret");
    return response ? "accepted" : response.error().message;
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  const tls::testing::Identity root_ = tls::testing::make_root();
  SSL_CTX* tls_ = nullptr;
  std::string request_, until_ = "\r\n\r\na=s3cret", header_ = "h", answer_;
  bool silent_ = false;
  int connections_ = 0;
};

TEST_F(FetcherTest, PostsAForm) {
  answer_ = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more";
  const auto response = fetch("a=s3cret");
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body.view(), "ok");
  EXPECT_THAT(request_, AllOf(StartsWith("POST /token HTTP/1.1\r\nHost: localhost:"), HasSubstr("\r\nX-Token: h\r\n"),
                              HasSubstr("Content-Length: 8\r\n"), HasSubstr("Connection: close\r\n")));
}

TEST_F(FetcherTest, GetsWithoutAForm) {
  until_ = "\r\n\r\n";
  answer_ = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n";
  EXPECT_EQ(fetch("").value().body.view(), "one two");
  EXPECT_THAT(request_, StartsWith("GET /token HTTP/1.1\r\n"));
}

TEST_F(FetcherTest, SpeaksTlsToWhomItBelieves) {
  const auto identity = tls::testing::make({.common_name = "s", .names = "DNS:localhost"}, &root_);
  const auto context = tls::testing::make_server(identity);
  tls_ = context.get();
  answer_ = "HTTP/1.1 200 OK\r\n\r\nto the end";
  const auto response = fetch("a=s3cret");
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body.view(), "to the end");
}

TEST_F(FetcherTest, SendsNothingToWhomItDoesNot) {
  const auto stranger = tls::testing::make({.common_name = "s", .names = "DNS:localhost"});
  const auto other = tls::testing::make({.common_name = "s", .names = "DNS:a.example"}, &root_);
  for (const auto* identity : {&stranger, &other}) {
    const auto context = tls::testing::make_server(*identity);
    tls_ = context.get();
    EXPECT_THAT(refusal("HTTP/1.1 200 OK\r\n\r\n"), AllOf(StartsWith("localhost: "), HasSubstr("certificate")));
    EXPECT_EQ(request_, "");
  }
}

TEST_F(FetcherTest, FollowsNoRedirect) {
  EXPECT_EQ(refusal("HTTP/1.1 307 Moved\r\nLocation: /s3cret\r\nContent-Length: 0\r\n\r\n"),
            "localhost: it answered with status 307, and redirects are not followed");
  EXPECT_EQ(connections_, 1);
}

TEST_F(FetcherTest, BoundsWhatItTakes) {
  EXPECT_THAT(refusal("HTTP/1.1 200 OK\r\n\r\n" + std::string(kMaxFetched + 128 * 1024, 's')),
              HasSubstr("larger than 1048576 bytes"));
  EXPECT_THAT(refusal("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), HasSubstr("cut off"));
  EXPECT_THAT(refusal("s3cret"), AllOf(HasSubstr("localhost: "), Not(HasSubstr("s3cret"))));
  EXPECT_THAT(refusal(""), HasSubstr("without an answer"));
}

TEST_F(FetcherTest, WaitsNoLongerThanItMay) {
  silent_ = true;
  EXPECT_EQ(fetch("a=s3cret", std::chrono::milliseconds(200)).error().message, "localhost took too long to answer");
}

TEST_F(FetcherTest, LetsNoHeaderHoldAnother) {
  header_ = "a\r\nX: y";
  EXPECT_THAT(fetch("a=s3cret").error().message, HasSubstr("line break"));
  EXPECT_EQ(connections_, 0);
}

}  // namespace
}  // namespace microagent::credentials
