// What the log says of intercepted flows and their requests, and what becomes of them where it cannot say it.

#include <fmt/format.h>

#include <algorithm>

#include "audit/verify.h"
#include "http/test_http2.h"
#include "mediator/test_intercept.h"

namespace microagent::mediator {
namespace {

TEST_F(InterceptTest, RefusesRequestsWhileTheAuditLogIsFull) {
  const std::string request = "GET /a HTTP/1.1\r\nHost: good.example\r\n\r\n";
  const std::string response = "HTTP/1.1 204 No Content\r\n\r\n";
  connect({"http/1.1"});
  {
    const FullDisk full(directory_.audit_file());
    write(*guest_, request);
    expect(*upstream_, request);
    write(*upstream_, response);
    expect(*guest_, response);  // and its record is lost
    write(*guest_, request);
    std::string got;
    ASSERT_TRUE(loop_.until([&] {
      read_into(*guest_, got);
      return got.find("decision: ") != std::string::npos;
    })) << got;
    EXPECT_TRUE(got.starts_with("HTTP/1.1 503 ")) << got;
    EXPECT_NE(got.find("the audit log cannot be written"), std::string::npos) << got;
  }
  write(*guest_, request);
  expect(*upstream_, request);
  write(*upstream_, response);
  ASSERT_TRUE(loop_.until([&] { return directory_.records().back()["event"] == "egress_request"; }));
  const auto all = directory_.records();
  EXPECT_EQ(all[all.size() - 2]["event"], "egress_audit_recovered");
  EXPECT_TRUE(audit::verify(directory_.audit_file()));
}

TEST_F(InterceptTest, RecordsTheHostOfARequestInItsOneSpelling) {
  connect({"http/1.1"});
  const std::string request = "GET /a HTTP/1.1\r\nHost: Good.Example.\r\n\r\n";
  write(*guest_, request);
  expect(*upstream_, request);
  write(*upstream_, "HTTP/1.1 204 No Content\r\n\r\n");
  const auto all = records(3);
  EXPECT_EQ(all[2]["event"], "egress_request");
  EXPECT_EQ(all[2]["host"], kName);
  EXPECT_FALSE(all[2].contains("name"));
}

TEST_F(InterceptTest, RecordsTheAddressThatARequestIsFor) {
  start();
  peeked("127.0.0.1", server_.port());
  accepted_ = server_.accept();
  const std::string request = fmt::format("GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", server_.port());
  say(request);
  take_splice();
  put(guests_, bytes(request));
  ASSERT_TRUE(loop_.until([&] { return arrived(accepted_) == bytes(request); }));
  put(accepted_, bytes("HTTP/1.1 204 No Content\r\n\r\n"));
  const auto all = records(2);
  EXPECT_EQ(all[1]["event"], "egress_request");
  EXPECT_EQ(all[1]["host"], "127.0.0.1");
}

TEST_F(InterceptTest, RecordsThatInterceptionBegins) {
  start();
  ASSERT_TRUE(mediator_->record_policy());
  auto all = records(2);
  EXPECT_EQ(all[0]["event"], "egress_listen");
  EXPECT_EQ(all[1]["event"], "egress_mitm_enabled");
  config_.egress.deny.push_back(policy::rule_text("other.example"));
  EXPECT_TRUE(change_policy(config_.egress).contains("result"));
  policy::PolicyText without = config_.egress;
  without.mode = policy::Mode::broker;
  EXPECT_TRUE(change_policy(without).contains("result"));
  EXPECT_EQ(records(4).size(), 4u) << "it does not begin anew, and ends unsaid";
  EXPECT_TRUE(change_policy(config_.egress).contains("result"));
  all = records(6);
  EXPECT_EQ(all[4]["event"], "egress_policy_changed");
  EXPECT_EQ(all[5]["event"], "egress_mitm_enabled");
}

TEST_F(InterceptTest, RecordsARequestThatGoesOnBeforeItsEnd) {
  config_.lasting_request = std::chrono::milliseconds(0);
  connect({"http/1.1"});
  const std::string request =
      "GET /chat?token=1 HTTP/1.1\r\nHost: good.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  write(*guest_, request);
  expect(*upstream_, request);
  write(*upstream_, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  auto all = records(3);
  EXPECT_EQ(all[2]["event"], "egress_request_open");
  EXPECT_EQ(all[2]["method"], "GET");
  EXPECT_EQ(all[2]["host"], kName);
  EXPECT_EQ(all[2]["path"], "/chat");
  EXPECT_EQ(all[2]["flow"], all[1]["flow"]);
  break_off();
  all = records(5);
  EXPECT_EQ(all[3]["event"], "egress_request");
  EXPECT_EQ(all[3]["status"], 101);
}

TEST_F(InterceptTest, BlamesNoTlsOfAFlowThatHasNone) {
  start();
  peeked("127.0.0.1", server_.port());
  accepted_ = server_.accept();
  const std::string request = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
  say(request);
  bind_name();
  take_splice();
  put(guests_, bytes(request));
  ASSERT_TRUE(loop_.until([&] { return arrived(accepted_) == bytes(request); }));
  accepted_.reset();
  const auto all = records(3);
  EXPECT_EQ(all[1]["event"], "egress_allow");
  EXPECT_FALSE(all[1].contains("mitm"));
  EXPECT_EQ(all[2]["event"], "egress_request");
  EXPECT_EQ(all[2]["status"], 502);
}

TEST_F(InterceptTest, RecordsAnUpstreamThatDiesOnceForAllItsRequests) {
  const auto count_of = [this](const char* event) {
    return std::ranges::count_if(directory_.records(), [&](const auto& record) { return record["event"] == event; });
  };
  const http::TestFields fields = {{":method", "GET"}, {":scheme", "https"}, {":authority", kName}, {":path", "/"}};
  connect({"h2"});
  http::Http2Bytes requests = http::http2_request(fields);
  for (const std::uint32_t stream : {3U, 5U})
    requests = http::operator+(requests, http::frame(NGHTTP2_HEADERS, 0x5, stream, http::header_block(fields)));
  EXPECT_EQ(guest_->write(requests).value_or(0), requests.size());
  std::string heard;
  ASSERT_TRUE(loop_.until([&] { return read_into(*upstream_, heard) && heard.size() > 60; }));
  upstream_.reset();
  accepted_.reset();
  ASSERT_TRUE(loop_.until([&] { return count_of("egress_request") == 3; }));
  EXPECT_EQ(count_of("egress_mitm_upstream_error"), 1);
  netd_.reset();
  ASSERT_TRUE(ended());
  EXPECT_EQ(count_of("egress_mitm_upstream_error"), 2);
  const auto is_count = [](const auto& record) { return record.value("count", 0) == 2; };
  EXPECT_EQ(std::ranges::count_if(directory_.records(), is_count), 1);
}

class CertificateTest : public InterceptTest, public testing::WithParamInterface<int> {
 protected:
  // What a guest is told by way of a server that has asked for its certificate, and then gives no answer.
  std::string page_of(bool insists) {
    start();
    begin({"http/1.1"});
    upstream_context_ = tls::testing::make_server(
        good_, {.least = GetParam(), .most = GetParam(), .wants_certificate = true, .insists = insists});
    serve(upstream_context_.get());
    take_splice();
    EXPECT_TRUE(shake_hands());
    const std::string request = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
    write(*guest_, request);
    if (!insists) expect(*upstream_, request);
    upstream_.reset();
    accepted_.reset();
    return until_end(*guest_);
  }
  std::string recorded() {
    EXPECT_TRUE(loop_.until([&] { return !error().empty(); }));
    return error();
  }
  std::string error() {
    for (const auto& record : directory_.records()) {
      if (record["event"] == "egress_mitm_upstream_error") return record["error"];
    }
    return {};
  }
};

TEST_P(CertificateTest, IsBlamedWhereTheServerInsists) {
  const std::string page = page_of(true);
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ")) << page;
  EXPECT_NE(page.find("--egress-passthrough"), std::string::npos) << page;
  EXPECT_NE(recorded().find("--egress-passthrough"), std::string::npos) << recorded();
}

TEST_P(CertificateTest, IsNotBlamedWhereTheServerCrashes) {
  const std::string page = page_of(false);
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ")) << page;
  EXPECT_EQ(page.find("certificate"), std::string::npos) << page;
  EXPECT_EQ(recorded().find("certificate"), std::string::npos) << recorded();
}

INSTANTIATE_TEST_SUITE_P(All, CertificateTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

}  // namespace
}  // namespace microagent::mediator
