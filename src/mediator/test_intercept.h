#pragma once

// A mediator that opens the TLS between a guest and an upstream of the test, which has a certificate for good.example.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "mediator/test_mediator.h"
#include "tls/testing/peers.h"
#include "wire/test_client_hello.h"

namespace microagent::mediator {

using tls::testing::Identity;

inline constexpr const char* kName = "good.example";
inline constexpr std::uint16_t kAlpn = 16;  // RFC 7301

// What can be had of a connection without waiting is added; false once nothing more can come.
inline bool read_into(tls::Connection& connection, std::string& all) {
  std::array<std::uint8_t, 4096> piece;
  for (;;) {
    const auto count = connection.read(piece);
    if (!count) return count.error().waits();
    all.append(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*count));
  }
}

class InterceptTest : public MediatorTest {
 protected:
  InterceptTest() {
    config_.egress.mode = policy::Mode::mitm;
    config_.trust = {root_.pem()};
  }

  // A's answer to the question that the resolver has got: the name is at 127.0.0.1.
  void bind_name() { bind_name({127, 0, 0, 1}); }
  void bind_name(const std::array<int, 4>& address) {
    std::optional<std::pair<Bytes, sockaddr_in>> query;
    ASSERT_TRUE(loop_.until([&] { return (query = resolver_.datagram()).has_value(); }));
    Bytes answer = query->first;
    std::size_t end = 12;
    while (answer.at(end) != 0) end += answer[end] + 1u;
    answer.resize(end + 5);
    answer[2] |= 0x80;
    answer[7] = 1;               // one answer
    answer[9] = answer[11] = 0;  // nothing else
    for (const int byte : {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4}) answer.push_back(static_cast<std::uint8_t>(byte));
    for (const int byte : address) answer.push_back(static_cast<std::uint8_t>(byte));
    resolver_.send_to(query->second, answer);
  }

  // Up to the point where the mediator knows whom the guest wants, and has the upstream's connection.
  void begin(std::vector<std::string> alpn) {
    call(std::move(alpn));
    bind_name();
  }
  void call(std::vector<std::string> alpn) {
    alpn_ = std::move(alpn);
    peeked("127.0.0.1", server_.port());
    accepted_ = server_.accept();
    ASSERT_TRUE(accepted_);
    wire::TestHello hello = wire::TestHello::to(kName);
    if (!alpn_.empty()) hello.with(kAlpn, wire::protocol_list({alpn_.begin(), alpn_.end()}));
    say(hello.encode());
  }

  // The upstream's handshake, until it has its verdict or the mediator has ended it.
  void serve(SSL_CTX* context) {
    upstream_.emplace(tls::testing::serve(context, accepted_.get()));
    tls::Outcome<void> done;
    loop_.until([&] {
      done = upstream_->handshake();
      return done || !done.error().waits();
    });
  }

  void take_splice() {
    Answer answer = next_answer();
    ASSERT_EQ(answer.action, Action::splice);
    guests_ = std::move(answer.fd);
  }

  // The guest's handshake, with the client's own word on how it went.
  tls::Outcome<void> shake_hands() {
    client_context_ = tls::testing::make_client();
    guest_.emplace(tls::testing::call(client_context_.get(), guests_.get(), kName, alpn_));
    tls::Outcome<void> done;
    loop_.until([&] {
      done = guest_->handshake();
      return done || !done.error().waits();
    });
    return done;
  }

  // All of that, with an upstream that is to be believed.
  void connect(std::vector<std::string> alpn) {
    start();
    begin(std::move(alpn));
    agree();
  }
  // With a name that is known by now.
  void connect_again(std::vector<std::string> alpn) {
    call(std::move(alpn));
    agree();
  }
  void agree() {
    upstream_context_ = tls::testing::make_server(good_);
    serve(upstream_context_.get());
    take_splice();
    ASSERT_TRUE(shake_hands());
  }

  // The guest's end of it all, in no order.
  void break_off() {
    guest_.reset();
    guests_.reset();
    close({.end = flow::End::guest_reset});
  }

  void write(tls::Connection& connection, std::string_view text) {
    EXPECT_EQ(connection.write(text_bytes(text)).value_or(0), text.size());
  }
  void expect(tls::Connection& connection, std::string_view text) {
    std::string all;
    loop_.until([&] { return !read_into(connection, all) || all.size() >= text.size(); });
    EXPECT_EQ(all, text);
  }
  std::string until_end(tls::Connection& connection) {
    std::string all;
    EXPECT_TRUE(loop_.until([&] { return !read_into(connection, all); }));
    return all;
  }

  Identity root_ = tls::testing::make_root();
  Identity good_ = tls::testing::make({.names = "DNS:good.example"}, &root_);
  LoopbackSocket server_{SOCK_STREAM};
  Fd accepted_, guests_;
  tls::SslContextPtr client_context_, upstream_context_;
  std::optional<tls::Connection> upstream_, guest_;
  std::vector<std::string> alpn_;
};

}  // namespace microagent::mediator
