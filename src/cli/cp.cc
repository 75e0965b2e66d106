// microagent cp

#include <fmt/format.h>
#include <unistd.h>

#include "archive/paths.h"
#include "cli/command.h"
#include "cli/copy_guest.h"
#include "cli/copy_path.h"
#include "cli/copy_streams.h"
#include "cli/descriptors.h"

namespace microagent::cli {
namespace {

using wire::FrameType;

struct CpOptions {
  std::string source, destination;
  bool follow = false, keep_owner = false, special_modes = false;
};

// "microagent: ..." for every line of the guest's.
void repeat(const Complaints& complaints) {
  std::string_view text = complaints.text();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) say("microagent: " + printable(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Status judge(const Copy& copy, const Result<ExecEnd>& end, const Complaints& complaints) {
  if (!end) return fail(end.error());
  const std::string remedy =
      fmt::format("see what is there: microagent exec {} -- ls -l {}", copy.guest.workspace, copy.guest.path);
  if (!end->failure.empty()) return fail(ErrorKind::permanent, "the guest: " + end->failure, remedy);
  if (end->code == 0) return repeat(complaints), Status();
  std::string why = complaints.text();
  while (why.ends_with('\n')) why.pop_back();
  if (why.empty()) why = fmt::format("the guest's side ended with code {}", end->code);
  return fail(ErrorKind::permanent, fmt::format("{}:{}: {}", copy.guest.workspace, copy.guest.path, why), remedy);
}

Result<ExecPlan> plan_stream(const Copy& copy, const CpOptions& options) {
  auto request = wire::encode_copy({copy.guest.path, options.keep_owner, options.follow});
  if (!request) return fail(ErrorKind::usage, "the path in the guest is too long", "use a shorter path");
  ExecPlan plan;
  plan.kind = copy.to_guest ? FrameType::put : FrameType::get;
  plan.request = std::move(*request);
  return plan;
}

Status put(const Context& context, const Copy& copy, const CpOptions& options, ExecPlan plan) {
  std::optional<InputSource> raw;
  std::optional<PackSource> packed;
  if (copy.host.is_stream()) {
    plan.input = &raw.emplace(STDIN_FILENO);
  } else {
    auto packer = archive::Packer::open(copy.host.path, {options.keep_owner, options.follow},
                                        [](const std::string& warning) { say("microagent: " + printable(warning)); });
    if (!packer) return fail(packer.error());
    plan.input = &packed.emplace(std::move(*packer));
  }
  auto guest = CopyGuest::open(context, copy.guest);
  if (!guest) return fail(guest.error());
  PutSink sink;
  const auto end = run_exec(guest->take_stream(), plan, sink);
  const Status finished = guest->finish();
  if (Status judged = judge(copy, end, sink.complaints()); !judged) return judged;
  return finished;
}

Status get(const Context& context, const Copy& copy, const CpOptions& options, const ExecPlan& plan) {
  auto guest = CopyGuest::open(context, copy.guest);
  if (!guest) return fail(guest.error());
  if (copy.host.is_stream()) {
    OutputSink output(STDOUT_FILENO, STDERR_FILENO);
    GetSink sink(output);
    const auto end = run_exec(guest->take_stream(), plan, sink);
    static_cast<void>(guest->finish());  // nothing was written that could be lost
    return judge(copy, end, sink.complaints());
  }
  // Under no other name than what was asked for has, whatever the guest sends.
  const std::string root = archive::split_path(copy.guest.path).name;
  archive::Unpacker unpacker(copy.host.path, {options.keep_owner, options.special_modes, root});
  GetSink sink(unpacker);
  const auto end = run_exec(guest->take_stream(), plan, sink);
  static_cast<void>(guest->finish());
  if (Status judged = judge(copy, end, sink.complaints()); !judged) return judged;
  return unpacker.finish();
}

Status check(const Context& context, const Copy& copy) {
  if (!copy.host.is_stream()) return {};
  if (!copy.to_guest && context.out.json()) {
    return fail(ErrorKind::usage, "-: the archive and a record cannot both be standard output",
                "leave --json out, or give a path");
  }
  if (!copy.to_guest && ::isatty(STDOUT_FILENO) == 1) {
    return fail(ErrorKind::usage, "-: an archive is nothing for a terminal",
                "lead standard output to a file or a pipe");
  }
  if (copy.to_guest && ::isatty(STDIN_FILENO) == 1) {
    return fail(ErrorKind::usage, "-: an archive does not come from a terminal", "lead a tar stream to standard input");
  }
  return {};
}

// What a file system says has no remedy of its own.
Error with_remedy(Error error) {
  if (error.remediation.empty())
    error.remediation = "see that both paths are what you mean, and may be read and written";
  return error;
}

Result<int> cp(const Context& context, const CpOptions& options) {
  const auto copy = plan_copy(options.source, options.destination);
  if (!copy) return fail(copy.error());
  if (Status valid = check(context, *copy); !valid) return fail(valid.error());
  auto plan = plan_stream(*copy, options);
  if (!plan) return fail(plan.error());
  const Status done =
      copy->to_guest ? put(context, *copy, options, std::move(*plan)) : get(context, *copy, options, *plan);
  if (!done) return fail(with_remedy(done.error()));
  if (!context.out.json()) return 0;
  if (Status told = context.out.record(
          {{"workspace", copy->guest.workspace}, {"source", options.source}, {"destination", options.destination}});
      !told) {
    return fail(told.error());
  }
  return 0;
}

}  // namespace

void add_cp(Commands& commands) {
  auto [command, options] = commands.add<CpOptions>("cp", "Copy files into or out of a workspace", cp);
  command->add_option("SOURCE", options->source, "a path, or NAME:/path in a workspace; - is a tar stream")
      ->required()
      ->type_name("");
  command->add_option("DESTINATION", options->destination, "the same")->required()->type_name("");
  command->add_flag("-L,--follow-link", options->follow, "when SOURCE is a symbolic link, copy what it points to");
  command->add_flag("-a,--archive", options->keep_owner, "keep owners, by number");
  command->add_flag("--setuid", options->special_modes,
                    "keep set-user-id and set-group-id modes of files that come out of a workspace");
  command->footer(
      "Files, directories with all that is below them, their modes, times and symbolic links. A destination that is a\n"
      "directory receives the source under its own name; one that does not exist becomes the source. SOURCE/. is what\n"
      "the directory holds. Nothing is written outside the destination, and in a directory nothing under another name "
      "than\n"
      "the source's, whatever the guest made there; SOURCE/. takes the names that the guest gives.\n\n"
      "A workspace that does not run and has a disk, of an image or of volumes, is booted for the copy alone, without\n"
      "network and without its command, and its record is left as it is.\n\n"
      "Examples:\n"
      "  microagent cp app web:/srv\n"
      "  microagent cp web:/var/log/app.log .\n"
      "  microagent cp web:/srv/. - | tar t");
}

}  // namespace microagent::cli
