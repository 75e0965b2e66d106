// Stands in for the mediator in the supervisor's tests. What it does says the file `script` in the workspace's
// directory, one word:
//   (none)     the guest is ready at once and powers off when asked to shut down
//   deaf       as above, but the guest does not heed the request
//   unhurried  the guest heeds no request before the second
//   workload   as above, and its workload exits with code 3 at once, upon which the guest powers off
//   fails      the guest's init gives up
//   silent     the guest is never ready
//   unreached  the mediation channel's target cannot be reached; without this word it can, at once
//   trusted    the guest trusts what intercepts its TLS
//   distrusted it does not
//   lost       the target is lost as soon as the guest is asked to shut down, which it does not heed
// The variables of swaps, where it is given any, it writes into the file `variables` there.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "flow/channel.h"
#include "flow/control.h"

namespace microagent {
namespace {

using Json = nlohmann::json;

Json read_config(int config) {
  std::array<char, 16 * 1024> text{};
  const ssize_t size = ::pread(config, text.data(), text.size(), 0);
  return Json::parse(text.data(), text.data() + std::max<ssize_t>(size, 0), nullptr, false);
}

std::string read_script(const Json& json) {
  const std::filesystem::path audit = json.value("auditFile", "");
  std::string word;
  std::ifstream(audit.parent_path() / "script") >> word;
  return word;
}

// Zero bytes become line ends.
void keep_variables(const Json& json, int pipe) {
  const std::filesystem::path audit = json.value("auditFile", "");
  std::ofstream file(audit.parent_path() / "variables");
  std::array<char, 4096> chunk{};
  while (const ssize_t count = ::read(pipe, chunk.data(), chunk.size())) {
    if (count < 0) break;
    for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(count))) file << (c == '\0' ? '\n' : c);
  }
}

void say(int supervisor, std::string_view message) { ::send(supervisor, message.data(), message.size(), MSG_NOSIGNAL); }

// The letter goes to the fake QEMU.
void tell_guest(flow::Channel& netd, char letter) {
  static_cast<void>(netd.send(static_cast<flow::FlowId>(letter), flow::Kill{}));
}

// Every request is granted but that about one host; the answer repeats the question.
void answer(int supervisor, const Json& request) {
  Json message = {{"type", "answer"}, {"id", request["id"]}};
  if (request.value("host", "") == "no.example") {
    message["error"] = {{"kind", "usage"}, {"message", "no such host"}, {"remediation", "name another"}};
  } else {
    message["result"] = {{"asked", request["ask"]}};
  }
  say(supervisor, message.dump());
}

int run(int config, int supervisor, int netd_fd, int variables) {
  const Json json = read_config(config);
  if (variables >= 0) keep_variables(json, variables);
  const std::string script = read_script(json);
  flow::Channel netd{Fd(netd_fd)};
  ::fcntl(supervisor, F_SETFL, ::fcntl(supervisor, F_GETFL) & ~O_NONBLOCK);
  say(supervisor, R"({"type":"ready"})");
  if (json.contains("mediation")) {
    const bool reached = script != "unreached";
    say(supervisor, reached ? R"({"type":"mediation","ready":true,"error":""})"
                            : R"({"type":"mediation","ready":false,"error":"Connection refused"})");
  }
  if (script == "trusted") say(supervisor, R"({"type":"trust","ready":true,"error":""})");
  if (script == "distrusted") say(supervisor, R"({"type":"trust","ready":false,"error":"cannot write /etc"})");
  if (script == "fails") say(supervisor, R"({"type":"guest_failed","error":"no network device"})");
  if (script != "fails" && script != "silent") {
    say(supervisor, R"({"type":"guest_ready","network":{"ip":"192.168.64.2/24","subnet":"192.168.64.0/24",)"
                    R"("gateway":"192.168.64.1","dns":["192.168.64.1"],"routes":["0.0.0.0/0 via 192.168.64.1"]}})");
  }
  if (script == "workload") say(supervisor, R"({"type":"workload_exited","code":3,"signal":0})");
  if (script == "workload") tell_guest(netd, 's');
  std::array<char, flow::kMaxControlMessage> packet{};
  for (int requests = 0;;) {
    const ssize_t size = ::recv(supervisor, packet.data(), packet.size(), 0);
    if (size <= 0) break;
    const Json message = Json::parse(packet.data(), packet.data() + size, nullptr, false);
    if (message.value("type", "") == "request") {
      answer(supervisor, message);
      continue;
    }
    if (script == "lost") say(supervisor, R"({"type":"mediation","ready":false,"error":"Connection reset by peer"})");
    ++requests;
    if (script == "unhurried" && requests < 2) continue;
    if (script != "deaf" && script != "lost") tell_guest(netd, 's');
  }
  return 0;
}

}  // namespace
}  // namespace microagent

int main(int argc, char** argv) {
  const bool has_variables = argc == 9 && argv[7] == std::string_view("--credentials-variables-fd");
  if (argc != 7 && !has_variables) return 2;
  return microagent::run(std::atoi(argv[2]), std::atoi(argv[4]), std::atoi(argv[6]),
                         has_variables ? std::atoi(argv[8]) : -1);
}
