// Flows whose TLS is opened: what each side is shown, and what becomes of upstreams that are not to be believed.

#include <fmt/format.h>

#include "http/test_http2.h"
#include "mediator/test_intercept.h"
#include "tls/alert.h"

namespace microagent::mediator {
namespace {

TEST_F(InterceptTest, ReadsRequestsWithinTls) {
  connect({"http/1.1"});
  const std::string request = "GET /a HTTP/1.1\r\nHost: good.example\r\n\r\n";
  write(*guest_, request);
  expect(*upstream_, request);
  const std::string response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  write(*upstream_, response);
  expect(*guest_, response);
  EXPECT_NE(guest_->peer_fingerprint(), upstream_->peer_fingerprint());
  guests_.reset();
  guest_.reset();
  close();
  const auto all = records(4);
  EXPECT_EQ(all[1]["event"], "egress_allow");
  EXPECT_EQ(all[1]["mitm"], true);
  EXPECT_EQ(all[1]["host"], kName);
  EXPECT_EQ(all[2]["event"], "egress_request");
  EXPECT_EQ(all[2]["path"], "/a");
  EXPECT_EQ(all[2]["status"], 200);
  EXPECT_EQ(all[2]["flow"], all[1]["flow"]);
  EXPECT_EQ(all[3]["event"], "egress_close");
}

// ---- connections that are kept for the next flow (upstream_pool.h)

class KeptUpstreamTest : public InterceptTest {
 protected:
  // One flow from its beginning to its end, which leaves its upstream to others.
  void first_flow() {
    connect({"http/1.1"});
    exchange();
    end_guest();
  }
  void exchange() {
    write(*guest_, kRequest);
    expect(*upstream_, kRequest);
    write(*upstream_, kResponse);
    expect(*guest_, kResponse);
  }
  void end_guest() {
    EXPECT_TRUE(guest_->close_notify());
    guest_.reset();
    guests_.reset();
    close();
    EXPECT_TRUE(loop_.until([&] { return directory_.records().back()["event"] == "egress_close"; }));
  }
  // The next flow, up to where the mediator knows for whom it is.
  void next_flow(std::vector<std::string> alpn) {
    alpn_ = std::move(alpn);
    peeked("127.0.0.1", server_.port());
    EXPECT_FALSE(server_.accept()) << "it was dialled before anybody knew for whom";
    wire::TestHello hello = wire::TestHello::to(kName);
    say(hello.with(kAlpn, wire::protocol_list({alpn_.begin(), alpn_.end()})).encode());
  }
  void accept_another() {
    ASSERT_TRUE(loop_.until([&] {
      accepted_ = server_.accept();
      return static_cast<bool>(accepted_);
    }));
    serve(upstream_context_.get());
  }

  static constexpr const char* kRequest = "GET /a HTTP/1.1\r\nHost: good.example\r\n\r\n";
  static constexpr const char* kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
};

TEST_F(KeptUpstreamTest, CarriesTheNextFlowToTheSameName) {
  first_flow();
  next_flow({"http/1.1"});
  take_splice();
  ASSERT_TRUE(shake_hands());
  EXPECT_EQ(guest_->alpn(), "http/1.1");
  exchange();
  end_guest();
  const auto all = records(7);
  EXPECT_FALSE(all[1].contains("reused"));
  EXPECT_EQ(all[4]["event"], "egress_allow");
  EXPECT_EQ(all[4]["reused"], true);
  EXPECT_EQ(all[5]["event"], "egress_request");
  EXPECT_EQ(all[6]["event"], "egress_close");
}

TEST_F(KeptUpstreamTest, IsNotForAClientThatOffersOtherProtocols) {
  first_flow();
  next_flow({"http/1.0"});
  accept_another();
  take_splice();
  ASSERT_TRUE(shake_hands());
  EXPECT_EQ(guest_->alpn(), "http/1.0");
}

TEST_F(KeptUpstreamTest, IsNotForOtherRulesThanItsOwn) {
  first_flow();
  config_.egress.deny.push_back(policy::rule_text("other.example"));
  EXPECT_EQ(change_policy(config_.egress)["result"]["killed"], 0);
  until_end(*upstream_);
  peeked("127.0.0.1", server_.port());
  EXPECT_TRUE(server_.accept()) << "there is none to wait for";
}

TEST_F(KeptUpstreamTest, EndsWithTheWorkspacesReach) {
  first_flow();
  EXPECT_TRUE(ask({{"ask", "quarantine"}})["result"].is_object());
  until_end(*upstream_);
}

// It may end whenever it likes, and the guest's request does not suffer.
TEST_F(KeptUpstreamTest, IsDialledAnewWhereItEndsInTheLastMoment) {
  first_flow();
  next_flow({"http/1.1"});
  take_splice();
  ASSERT_TRUE(shake_hands());
  write(*guest_, kRequest);
  expect(*upstream_, kRequest);
  upstream_.reset();
  accepted_.reset();
  accept_another();
  expect(*upstream_, kRequest);
  write(*upstream_, kResponse);
  expect(*guest_, kResponse);
  end_guest();
  const auto all = records(7);
  EXPECT_EQ(all[5]["status"], 200);
  EXPECT_FALSE(all[5].contains("error"));
}

TEST_F(KeptUpstreamTest, IsTakenOnlyWhileItsServerHolds) {
  first_flow();
  peeked("127.0.0.1", server_.port());
  upstream_.reset();
  accepted_.reset();
  say(wire::TestHello::to(kName).with(kAlpn, wire::protocol_list({"http/1.1"})).encode());
  accept_another();
  take_splice();
  ASSERT_TRUE(shake_hands());
  exchange();
}

TEST_F(KeptUpstreamTest, IsNotBlamedWhereTheGuestLeavesBeforeThereIsAnother) {
  first_flow();
  next_flow({"http/1.1"});
  take_splice();
  ASSERT_TRUE(shake_hands());
  write(*guest_, kRequest);
  expect(*upstream_, kRequest);
  upstream_.reset();
  accepted_.reset();
  ASSERT_TRUE(loop_.until([&] { return static_cast<bool>(accepted_ = server_.accept()); })) << "and says nothing";
  close({.end = flow::End::guest_reset});
  const auto all = records(7);
  EXPECT_EQ(all[5]["event"], "egress_request");
  EXPECT_EQ(all[6]["event"], "egress_close");
}

TEST_F(InterceptTest, KeepsNoUpstreamThatAsksForACertificate) {
  start();
  begin({"http/1.1"});
  upstream_context_ = tls::testing::make_server(good_, {.wants_certificate = true});
  serve(upstream_context_.get());
  take_splice();
  ASSERT_TRUE(shake_hands());
  EXPECT_TRUE(guest_->close_notify());
  until_end(*upstream_);
}

// A response without a length ends with its connection: in the clear, nothing else tells the half from the whole.
TEST_F(InterceptTest, ResetsAGuestWhoseResponseWasCutOffInTheClear) {
  start();
  peeked("127.0.0.1", server_.port());
  accepted_ = server_.accept();
  const std::string request = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
  say(request);
  bind_name();
  take_splice();
  put(guests_, bytes(request));
  ASSERT_TRUE(loop_.until([&] { return arrived(accepted_) == bytes(request); }));
  const std::string half = "HTTP/1.1 200 OK\r\n\r\nhalf";
  put(accepted_, bytes(half));
  ASSERT_TRUE(loop_.until([&] { return arrived(guests_) == bytes(half); }));
  const linger at_once{1, 0};
  ASSERT_EQ(::setsockopt(accepted_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  accepted_.reset();
  EXPECT_TRUE(until([&] { return !killed_.empty(); }));
}

TEST_F(InterceptTest, MirrorsTheUpstreamsProtocol) {
  start();
  begin({"acme/9"});
  const auto context = tls::testing::make_server(good_);
  serve(context.get());
  EXPECT_EQ(upstream_->alpn(), "acme/9");
  take_splice();
  ASSERT_TRUE(shake_hands());
  EXPECT_EQ(guest_->alpn(), "acme/9");
  write(*guest_, "any bytes");
  expect(*upstream_, "any bytes");
  write(*upstream_, "and back");
  expect(*guest_, "and back");
}

TEST_F(InterceptTest, LetsAServerSpeakFirstWithinTls) {
  connect({});
  write(*upstream_, "220 mail.example ESMTP\r\n");
  expect(*guest_, "220 mail.example ESMTP\r\n");
  write(*guest_, "EHLO a\r\n");
  expect(*upstream_, "EHLO a\r\n");
}

TEST_F(InterceptTest, ANewPolicyEndsWhatHasNoRequestsToRead) {
  connect({});
  write(*upstream_, "220 mail.example ESMTP\r\n");
  expect(*guest_, "220 mail.example ESMTP\r\n");
  policy::RuleText rule = policy::rule_text("", "--egress-policy");
  rule.form = policy::RuleText::Form::host;
  rule.destination = kName;
  rule.methods = {"GET"};
  config_.egress.allow.push_back(rule);
  EXPECT_EQ(change_policy(config_.egress)["result"]["killed"], 1);
}

TEST_F(InterceptTest, RefusesARequestForAnotherHost) {
  connect({"http/1.1"});
  write(*guest_, "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n");
  std::string got;
  ASSERT_TRUE(loop_.until([&] {
    read_into(*guest_, got);
    return got.find("decision") != std::string::npos;
  }));
  EXPECT_TRUE(got.starts_with("HTTP/1.1 421 ")) << got;
  const auto all = records(3);
  EXPECT_EQ(all[2]["event"], "egress_deny");
  EXPECT_EQ(all[2]["signal"], "name-destination-mismatch");
  EXPECT_EQ(all[2]["flow"], all[1]["flow"]);
}

TEST_F(InterceptTest, JudgesEveryRequestByItsMethodAndPath) {
  policy::RuleText rule = policy::rule_text("", "--egress-policy");
  rule.form = policy::RuleText::Form::host;
  rule.destination = kName;
  rule.methods = {"GET"};
  rule.paths = {"/v1/*"};
  config_.egress.mode = policy::Mode::broker;
  config_.egress.allow.push_back(rule);
  connect({"http/1.1"});
  const std::string allowed = "GET /v1/models HTTP/1.1\r\nHost: good.example\r\n\r\n";
  write(*guest_, allowed);
  expect(*upstream_, allowed);
  write(*upstream_, "HTTP/1.1 204 No Content\r\n\r\n");
  expect(*guest_, "HTTP/1.1 204 No Content\r\n\r\n");
  write(*guest_, "GET /v1/../admin HTTP/1.1\r\nHost: good.example\r\n\r\n");
  std::string got;
  ASSERT_TRUE(loop_.until([&] {
    read_into(*guest_, got);
    return got.find("decision: ") != std::string::npos;
  }));
  EXPECT_TRUE(got.starts_with("HTTP/1.1 403 ")) << got;
  write(*guest_, allowed);
  expect(*upstream_, allowed);
}

TEST_F(InterceptTest, LeavesAPassthroughHostAlone) {
  config_.egress.passthrough.push_back(policy::rule_text(kName, "--egress-passthrough"));
  start();
  begin({"http/1.1"});
  take_splice();
  put(guests_, bytes("as it is"));
  EXPECT_TRUE(loop_.until([&] { return arrived(accepted_) == bytes("as it is"); }));
}

TEST_F(InterceptTest, RecordsAGuestThatDoesNotTrustTheAuthority) {
  start();
  begin({"http/1.1"});
  const auto context = tls::testing::make_server(good_);
  serve(context.get());
  take_splice();
  const auto alert = tls::encode_fatal_alert(tls::Alert::unknown_ca);
  put(guests_, Bytes(alert.begin(), alert.end()));
  const auto all = records(3);
  EXPECT_EQ(all[2]["event"], "egress_mitm_handshake_error");
}

TEST_F(InterceptTest, EndsTheUpstreamWithTheGuest) {
  connect({"http/1.1"});
  write(*guest_, "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n");
  expect(*upstream_, "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n");
  close({.end = flow::End::killed});
  until_end(*upstream_);
}

TEST_F(InterceptTest, BlamesNoUpstreamForAGuestThatIsGone) {
  connect({"http/1.1"});
  const std::string request = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
  write(*guest_, request);
  expect(*upstream_, request);
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
  write(*upstream_, half);
  expect(*guest_, half);
  close({.end = flow::End::killed});
  const auto all = records(4);
  EXPECT_EQ(all[2]["event"], "egress_request");
  EXPECT_EQ(all[2]["error"], "the guest's connection ended");
  EXPECT_EQ(all[3]["event"], "egress_close");
}

// ALPN knows it, too, and it is no way around the gate.
TEST_F(InterceptTest, ReadsRequestsOfHttp10ByName) {
  connect({"http/1.0"});
  write(*guest_, "GET / HTTP/1.0\r\nHost: other.example\r\n\r\n");
  EXPECT_TRUE(until_end(*guest_).starts_with("HTTP/1.1 421 "));
}

// To rules it is what it would be over HTTP/1, which servers turn it into.
TEST_F(InterceptTest, JudgesExtendedConnectAsTheRequestThatItIs) {
  policy::RuleText rule = policy::rule_text("", "--egress-policy");
  rule.form = policy::RuleText::Form::host;
  rule.destination = kName;
  rule.methods = {"GET"};
  rule.paths = {"/admin"};
  config_.egress.deny.push_back(rule);
  connect({"h2"});
  const http::Http2Bytes request = http::http2_request({{":method", "CONNECT"},
                                                        {":protocol", "websocket"},
                                                        {":scheme", "https"},
                                                        {":authority", kName},
                                                        {":path", "/admin"}});
  const http::Http2Bytes offer = {0, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 0, 0, 0, 1};
  const http::Http2Bytes settings = http::frame(NGHTTP2_SETTINGS, 0, 0, offer);
  EXPECT_EQ(upstream_->write(settings).value_or(0), settings.size());
  std::string got;
  ASSERT_TRUE(loop_.until([&] {
    return read_into(*guest_, got) && got.find(std::string(offer.begin(), offer.end())) != std::string::npos;
  }));
  EXPECT_EQ(guest_->write(request).value_or(0), request.size());
  const auto all = records(3);
  EXPECT_EQ(all[2]["event"], "egress_deny");
  EXPECT_EQ(all[2]["method"], "CONNECT");
}

}  // namespace
}  // namespace microagent::mediator
