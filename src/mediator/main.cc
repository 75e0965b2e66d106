// microagent-mediator: judges, dials and records every flow of one workspace. Started by the supervisor only.

#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <csignal>

#include "base/log.h"
#include "credentials/process.h"
#include "mediator/mediator.h"
#include "mediator/sandbox.h"
#include "tls/memory.h"

namespace microagent::mediator {
namespace {

struct Arguments {
  int config_fd = -1, supervisor_fd = -1, netd_fd = -1, variables_fd = -1;
};

// Nobody of the same user may read this process's memory (it holds credentials).
Status hide_memory() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno(errno, "cannot forbid core dumps");
  return {};
}

// A flow is a descriptor while it is being dialled, and a DNS flow is one for as long as it lives.
Status raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno(errno, "cannot read the descriptor limit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno(errno, "cannot raise the descriptor limit");
  return {};
}

dns::ResolverList resolver_list(const Config& config) {
  std::vector<dns::Resolver> declared;
  if (config.network) {
    for (const policy::Address& address : config.network->declared_dns) declared.push_back({address});
  }
  if (declared.empty()) return dns::ResolverList(std::filesystem::path("/etc/resolv.conf"));
  return dns::ResolverList(std::move(declared));
}

// The process that holds the secrets, where there are any: it runs helpers and reads files that the sandbox forbids.
Result<Fd> start_credentials(const Config& config, Fd variables) {
  if (config.swaps.empty()) return Fd();
  auto socket = credentials::start_process({config.swaps, variables.get(), config.trust});
  // Its end is told by the socket's.
  std::signal(SIGCHLD, SIG_IGN);
  return socket;
}

Status run(const Arguments& arguments) {
  const Fd config_file(arguments.config_fd);
  Fd variables(arguments.variables_fd);
  Mediator::Sockets sockets{Fd(arguments.supervisor_fd), Fd(arguments.netd_fd), {}};
  // A full disk or a file size limit is an error of write(2), not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  tls::keep_buffers();
  if (const Status status = hide_memory(); !status) return status;
  if (const Status status = raise_descriptor_limit(); !status) return status;
  // From the supervisor, who is believed; what it says of swaps must be known while there is no sandbox yet.
  auto config = read_config(config_file.get());
  if (!config) return fail(config.error());
  auto credentials = start_credentials(*config, std::move(variables));
  if (!credentials) return fail(credentials.error());
  sockets.credentials = std::move(*credentials);
  if (const Status status = enter_sandbox(); !status) return status;

  asio::io_context io(1);
  dns::ResolverList resolvers = resolver_list(*config);
  const auto mediator = Mediator::open(io, std::move(*config), std::move(resolvers), std::move(sockets));
  if (!mediator) return fail(mediator.error());
  if (const Status status = (*mediator)->record_policy(); !status) return status;
  (*mediator)->start();
  io.run();
  return {};
}

}  // namespace
}  // namespace microagent::mediator

int main(int argc, char** argv) {
  using namespace microagent;
  set_log_name("mediator");
  CLI::App app("Started by microagent-supervisor; not for people.");
  mediator::Arguments arguments;
  app.add_option("--config-fd", arguments.config_fd, "the configuration, a JSON object")->required();
  app.add_option("--supervisor-fd", arguments.supervisor_fd, "packet socket to the supervisor")->required();
  app.add_option("--netd-fd", arguments.netd_fd, "packet socket to netd")->required();
  app.add_option("--credentials-variables-fd", arguments.variables_fd,
                 "the variables that swaps name, NAME=VALUE and a NUL each");
  CLI11_PARSE(app, argc, argv);
  const Status status = mediator::run(arguments);
  if (!status) log_error("{}", status.error().message);
  return status ? 0 : 1;
}
