#include "cli/upkeep_flags.h"

namespace microagent::cli {
namespace {

using workspace::Declared;
using workspace::DeclaredUpkeep;
using Flag = std::optional<std::string>;

template <typename T>
Status read(const Flag& flag, const char* name, std::optional<Declared<T>>& out, Result<T> (*parse)(std::string_view)) {
  if (!flag) return {};
  auto value = parse(*flag);
  if (!value) return fail(with_context(value.error(), name));
  out = Declared<T>{std::move(*value), name};
  return {};
}

// PORT[/PATH]: a guest's port and the page to get there.
Status read_http(const Flag& flag, DeclaredUpkeep& out) {
  constexpr const char* kName = "--health-http";
  if (!flag) return {};
  const std::size_t slash = flag->find('/');
  if (Status port = read(Flag(flag->substr(0, slash)), kName, out.http_port, workspace::parse_health_port); !port) {
    return port;
  }
  if (slash != std::string::npos) out.http_path = Declared<std::string>{flag->substr(slash), kName};
  return {};
}

}  // namespace

void add_upkeep_flags(CLI::App& command, UpkeepOptions& options) {
  command.add_option("--ttl", options.ttl, "how long it lives at most from each start, such as 30m, 8h or 7d")
      ->type_name("TIME");
  command
      .add_option("--restart", options.restart,
                  "what `supervise` does at its end: never (default), on-failure[:MAX], always")
      ->type_name("POLICY");
  command
      .add_option("--health-cmd", options.health_command,
                  "what `supervise` runs by the guest's shell to see whether it is healthy")
      ->type_name("COMMAND");
  command.add_option("--health-http", options.health_http, "or the page that it gets, at a guest's published port")
      ->type_name("PORT[/PATH]");
  command.add_option("--health-interval", options.interval, "how often, 30s by default")->type_name("TIME");
  command.add_option("--health-timeout", options.timeout, "how long an answer may take, 5s by default")
      ->type_name("TIME");
  command.add_option("--health-retries", options.retries, "failures in a row that make it unhealthy, 3 by default")
      ->type_name("COUNT");
  command
      .add_option("--health-start-period", options.start_period,
                  "how long failures do not count at first, not at all by default")
      ->type_name("TIME");
}

Result<DeclaredUpkeep> read_upkeep_flags(const UpkeepOptions& options) {
  DeclaredUpkeep out;
  Status done = read(options.restart, "--restart", out.restart, workspace::parse_restart);
  if (done) done = read(options.ttl, "--ttl", out.ttl, workspace::parse_duration);
  if (done) done = read_http(options.health_http, out);
  if (done) done = read(options.interval, "--health-interval", out.interval, workspace::parse_duration);
  if (done) done = read(options.timeout, "--health-timeout", out.timeout, workspace::parse_duration);
  if (done) done = read(options.retries, "--health-retries", out.retries, workspace::parse_retries);
  if (done) done = read(options.start_period, "--health-start-period", out.start_period, workspace::parse_start_period);
  if (!done) return fail(done.error());
  if (options.health_command) out.command = Declared<std::string>{*options.health_command, "--health-cmd"};
  return out;
}

}  // namespace microagent::cli
