#pragma once

// A mediator with make-believe ends of netd and the supervisor, and a resolver on loopback.

#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flow/channel.h"
#include "mediator/endpoint.h"
#include "mediator/mediator.h"
#include "mediator/test_directory.h"
#include "mediator/test_loop.h"
#include "policy/policy_json.h"

namespace microagent::mediator {

using flow::Action;
using flow::Protocol;
using flow::Refusal;

struct Answer {
  flow::FlowId flow = 0;
  Action action{};
  Refusal refusal{};
  flow::BudgetId budget = flow::kNoBudget;
  Fd fd;
};

class MediatorTest : public testing::Test {
 protected:
  MediatorTest() {
    config_.workspace = "web";
    config_.audit_file = directory_.audit_file();
    config_.egress.allow.push_back(policy::rule_text("127.0.0.0/8", "--egress-allow"));
    config_.network = Network{*policy::parse_cidr("192.168.64.0/24"), *policy::parse_address("192.168.64.1"), {}};
  }

  void start() {
    auto supervisor = socket_pair(SOCK_SEQPACKET);
    auto netd = socket_pair(SOCK_SEQPACKET);
    supervisor_ = std::move(supervisor.first);
    netd_.emplace(std::move(netd.first));
    auto mediator = Mediator::open(loop_.io, config_, dns::ResolverList({{kLoopback, resolver_.port()}}),
                                   {std::move(supervisor.second), std::move(netd.second), std::move(credentials_)});
    ASSERT_TRUE(mediator) << mediator.error().message;
    mediator_ = std::move(*mediator);
    mediator_->start();
    EXPECT_EQ(next_report(), R"({"type":"ready"})");
  }

  std::string next_report() {
    std::optional<Bytes> report;
    EXPECT_TRUE(loop_.until([&] { return (report = arrived(supervisor_)).has_value(); }));
    return report ? std::string(report->begin(), report->end()) : std::string();
  }

  void open(flow::FlowId flow, Protocol protocol, const flow::Endpoint& destination) {
    flow::Open open;
    open.protocol = protocol;
    open.guest = endpoint_of(*policy::parse_address("192.168.64.2"), 40'000);
    open.destination = destination;
    ASSERT_TRUE(netd_->send(flow, open));
  }
  void open(flow::FlowId flow, Protocol protocol, std::string_view address, std::uint16_t port) {
    open(flow, protocol, endpoint_of(*policy::parse_address(address), port));
  }

  // Takes what the mediator says in passing; false when nothing has come.
  bool take_message(std::optional<Answer>& answer) {
    flow::Message message;
    if (netd_->receive(message) != flow::Receive::message) return false;
    if (const auto limits = message.as<flow::Limits>()) limits_[limits->budget] = *limits;
    if (message.as<flow::Kill>()) killed_.push_back(message.header.flow);
    if (message.as<flow::Sever>()) severed_ = true;
    if (const auto verdict = message.as<flow::Verdict>()) {
      answer.emplace(
          Answer{message.header.flow, verdict->action, verdict->refusal, verdict->budget, std::move(message.fd)});
    }
    return true;
  }

  Answer next_answer() {
    std::optional<Answer> answer;
    EXPECT_TRUE(loop_.until([&] {
      while (!answer && take_message(answer)) continue;
      return answer.has_value();
    }));
    return answer ? std::move(*answer) : Answer();
  }

  // Lets the loop run and the orders come in until `done`.
  bool until(const std::function<bool()>& done) {
    return loop_.until([&] {
      std::optional<Answer> answer;
      while (take_message(answer)) EXPECT_FALSE(answer) << "a verdict that nobody waits for";
      return done();
    });
  }

  Refusal refusal_of(Protocol protocol, std::string_view address, std::uint16_t port) {
    open(++last_flow_, protocol, address, port);
    const Answer answer = next_answer();
    EXPECT_EQ(answer.flow, last_flow_);
    EXPECT_EQ(answer.action, Action::refuse);
    EXPECT_FALSE(answer.fd);
    return answer.refusal;
  }

  Fd spliced(Protocol protocol, const flow::Endpoint& destination) {
    open(++last_flow_, protocol, destination);
    Answer answer = next_answer();
    EXPECT_EQ(answer.flow, last_flow_);
    EXPECT_EQ(answer.action, Action::splice);
    return std::move(answer.fd);
  }
  Fd spliced(Protocol protocol, std::string_view address, std::uint16_t port) {
    return spliced(protocol, endpoint_of(*policy::parse_address(address), port));
  }

  // A TCP flow that the mediator wants to look at.
  void peeked(std::string_view address, std::uint16_t port) {
    open(++last_flow_, Protocol::tcp, address, port);
    const Answer answer = next_answer();
    EXPECT_EQ(answer.flow, last_flow_);
    EXPECT_EQ(answer.action, Action::peek);
    EXPECT_FALSE(answer.fd);
  }
  void say(ByteView bytes, bool ended = false) {
    ASSERT_TRUE(netd_->send(last_flow_, flow::FirstBytes{.ended = ended}, -1, bytes));
  }
  void say(std::string_view text, bool ended = false) { say(text_bytes(text), ended); }
  void close(flow::Closed closed = {.end = flow::End::finished}) { ASSERT_TRUE(netd_->send(last_flow_, closed)); }

  // What is in the audit log once it holds `count` records.
  std::vector<nlohmann::json> records(std::size_t count) {
    EXPECT_TRUE(loop_.until([&] { return directory_.records().size() >= count; }));
    return directory_.records();
  }

  // What people ask, by way of the supervisor.
  void send_request(nlohmann::json request, int passed = -1) {
    request["type"] = "request";
    request["id"] = ++last_request_;
    std::string text = request.dump();
    iovec part{text.data(), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (passed >= 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(rights), &passed, sizeof passed);
    }
    ASSERT_EQ(::sendmsg(supervisor_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

  nlohmann::json answer() {
    const nlohmann::json answer = nlohmann::json::parse(next_report());
    EXPECT_EQ(answer["type"], "answer");
    EXPECT_EQ(answer["id"], last_request_);
    return answer;
  }

  nlohmann::json ask(nlohmann::json request) {
    send_request(std::move(request));
    return answer();
  }

  nlohmann::json change_policy(const std::string& content) {
    const Fd file(::memfd_create("policy", MFD_CLOEXEC));
    EXPECT_EQ(::write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
    send_request({{"ask", "policy"}}, file.get());
    return answer();
  }
  nlohmann::json change_policy(const policy::PolicyText& text) { return change_policy(policy::to_json(text).dump()); }

  bool ended() {
    return loop_.until([&] {
      loop_.io.run_one_for(std::chrono::milliseconds(1));
      return loop_.io.stopped();
    });
  }

  TestDirectory directory_;
  LoopbackSocket resolver_{SOCK_DGRAM};
  TestLoop loop_;
  Config config_;
  Fd credentials_;  // leads to the process that holds the secrets, where there are swaps
  Fd supervisor_;
  std::optional<flow::Channel> netd_;
  std::unique_ptr<Mediator> mediator_;
  flow::FlowId last_flow_ = 0;
  std::map<flow::BudgetId, flow::Limits> limits_;
  std::vector<flow::FlowId> killed_;
  bool severed_ = false;
  std::uint64_t last_request_ = 0;
};

}  // namespace microagent::mediator
