// microagent create

#include "cli/create.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "cli/describe.h"
#include "cli/furnish.h"
#include "cli/progress.h"
#include "cli/signal_watch.h"
#include "cli/swap_flags.h"
#include "workspace/declaration.h"
#include "workspace/forward.h"
#include "workspace/mediation.h"
#include "workspace/records.h"
#include "workspace/spec.h"

namespace microagent::cli {
namespace {

using workspace::Declaration;
using workspace::Declared;
using workspace::Manifest;

using Flag = std::optional<std::string>;

void read_text(const Flag& flag, const char* place, std::optional<Declared<std::string>>& out) {
  if (flag) out = Declared<std::string>{*flag, place};
}

template <typename T>
Status read_value(const Flag& flag, const char* place, std::optional<Declared<T>>& out,
                  Result<T> (*parse)(std::string_view)) {
  if (!flag) return {};
  auto value = parse(*flag);
  if (!value) return fail(with_context(value.error(), place));
  out = Declared<T>{*value, place};
  return {};
}

void read_list(const std::vector<std::string>& values, const char* place, std::vector<Declared<std::string>>& out) {
  for (const std::string& value : values) out.push_back({value, place});
}

Status read_publish(const std::vector<std::string>& mappings, Declaration& out) {
  for (const std::string& mapping : mappings) {
    const std::string place = "--publish " + mapping;
    const auto forwards = workspace::parse_publish(mapping);
    if (!forwards) return fail(with_context(forwards.error(), place));
    for (const workspace::Forward& forward : *forwards) out.forwards.push_back({forward, place});
  }
  return {};
}

Status read_mediation(const CreateOptions& options, workspace::DeclaredMediation& out) {
  if (options.mediation) {
    const std::string place = "--mediation " + *options.mediation;
    auto mapping = workspace::parse_mediation(*options.mediation);
    if (!mapping) return fail(with_context(mapping.error(), place));
    out.enabled = Declared<bool>{true, place};
    out.port = Declared<std::uint32_t>{mapping->port, place};
    out.target = Declared<std::string>{std::move(mapping->target), place};
  }
  if (options.mediation_optional) out.required = out.fail_closed = Declared<bool>{false, "--mediation-optional"};
  return {};
}

// Every `flag` that was given.
template <typename Value, typename Parse>
Status read_each(const std::vector<std::string>& texts, const std::string& flag, std::vector<Declared<Value>>& out,
                 Parse parse) {
  for (const std::string& text : texts) {
    const std::string place = flag + " " + text;
    const auto value = parse(text);
    if (!value) return fail(with_context(value.error(), place));
    out.push_back({*value, place});
  }
  return {};
}

// NAME and --name are two ways to say one thing.
Status read_name(const CreateOptions& options, Declaration& out) {
  if (options.name && options.named && *options.name != *options.named) {
    return fail(ErrorKind::usage,
                fmt::format("--name {}: the workspace is called {} already", *options.named, *options.name),
                "give one name");
  }
  read_text(options.named, "--name", out.name);
  read_text(options.name, "NAME", out.name);
  return {};
}

Result<Declaration> read_flags(const CreateOptions& options) {
  Declaration flags;
  Status read = read_name(options, flags);
  if (read) read = read_value(options.network, "--network", flags.mode, workspace::parse_mode);
  if (read) read = read_value(options.memory, "--memory", flags.memory_mib, workspace::parse_memory);
  if (read) read = read_value(options.cpus, "--cpus", flags.cpus, workspace::parse_cpus);
  if (read) read = read_value(options.size, "--size", flags.disk_mib, workspace::parse_disk);
  if (read) read = read_publish(options.publish, flags);
  if (read) read = read_each(options.volumes, "--volume", flags.volumes, workspace::parse_volume);
  if (read) read = read_each(options.bundles, "--bundle", flags.bundles, workspace::parse_bundle);
  if (read) read = read_mediation(options, flags.mediation);
  if (!read) return fail(read.error());
  read_text(options.ip, "--ip", flags.ip);
  read_text(options.subnet, "--subnet", flags.subnet);
  read_text(options.gateway, "--gateway", flags.gateway);
  read_text(options.entrypoint, "--entrypoint", flags.entrypoint);
  read_text(options.image, "--image", flags.image);
  read_text(options.init, "--init", flags.init);
  workspace::anchor_image(flags, {});
  workspace::anchor_bundles(flags, {});
  read_list(options.command, "the command", flags.command);
  read_list(options.dns, "--dns", flags.dns);
  read_list(options.routes, "--route", flags.routes);
  read_list(options.env, "--env", flags.env);
  auto egress = read_egress_flags(options.egress);
  if (!egress) return fail(egress.error());
  flags.egress = std::move(*egress);
  auto upkeep = read_upkeep_flags(options.upkeep);
  if (!upkeep) return fail(upkeep.error());
  flags.upkeep = std::move(*upkeep);
  return flags;
}

Status tell_plan(const Context& context, const Manifest& manifest) {
  const bool user = manifest.network.mode == workspace::NetworkMode::user;
  if (!context.out.json()) return context.out.text(describe_plan(context.out, manifest));
  nlohmann::json record = workspace::create_record(manifest);
  record["dryRun"] = true;
  if (user) record["effectiveNetwork"] = workspace::effective_record(manifest.network);
  return context.out.record(std::move(record));
}

Status create_workspace(const Context& context, Manifest& manifest, bool pull) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  // Sooner than an image is pulled for it; whoever takes the name meanwhile is seen in the end. Where it is deleted
  // between the two looks nothing is made, since nothing is there to furnish it with.
  if (store->exists(manifest.name)) {
    return store->create(manifest, [&](const std::filesystem::path&) -> Status {
      return fail(ErrorKind::transient, fmt::format("workspace \"{}\" was being deleted", manifest.name), "try again");
    });
  }
  const Progress progress(context.out, manifest.name);
  const auto furniture = gather_furniture(manifest, pull ? image::Pull::always : image::Pull::missing, progress);
  if (!furniture) return fail(furniture.error());
  {
    // A signal in the midst would leave volumes that nobody has asked for by themselves.
    const SignalWatch signals(kEndingSignals);
    if (Status created = create_furnished(*store, manifest, *furniture); !created) return created;
  }
  if (context.out.json()) return context.out.record(workspace::create_record(manifest));
  return context.out.text(
      fmt::format("{} is created; start it with: microagent start {}\n", manifest.name, manifest.name));
}

Result<int> create(const Context& context, const CreateOptions& options) {
  CreateOptions all = options;
  all.command = context.words;
  auto manifest = plan_workspace(all);
  if (!manifest) return fail(manifest.error());
  const Status done =
      options.dry_run ? tell_plan(context, *manifest) : create_workspace(context, *manifest, options.pull);
  if (!done) return fail(done.error());
  return 0;
}

void add_network_flags(CLI::App& command, CreateOptions& options) {
  command
      .add_option("--network", options.network, "user (default): outbound network and published ports; isolated: none")
      ->type_name("MODE");
  add_list(command, "-p,--publish", options.publish,
           "lead a host port to the guest: [HOST:]HOSTPORT:GUESTPORT[/tcp|/udp]; may be repeated")
      ->type_name("MAPPING");
  command.add_option("--ip", options.ip, "the guest's address, such as 192.168.64.2/24; needs --gateway")
      ->type_name("CIDR");
  command.add_option("--subnet", options.subnet, "its network; that of --ip where left out")->type_name("CIDR");
  command.add_option("--gateway", options.gateway, "the guest's gateway")->type_name("ADDRESS");
  add_list(command, "--dns", options.dns, "a resolver, for the guest and upstream; may be repeated")
      ->type_name("ADDRESS");
  add_list(command, "--route", options.routes, "a route of the guest, \"CIDR via ADDRESS\"; may be repeated")
      ->type_name("ROUTE");
}

// What goes with an image, however that is named.
void add_disk_flags(CLI::App& command, CreateOptions& options) {
  command.add_flag("--pull", options.pull, "ask the registry although the image has been pulled before");
  command.add_option("--size", options.size, "the disk's size: 10GiB (default), 20480 (MiB); needs an image")
      ->type_name("SIZE");
  add_list(command, "-v,--volume", options.volumes,
           "a named volume, NAME:/PATH, which outlives the workspace; made where there is none; may be repeated")
      ->type_name("VOLUME");
  add_list(
      command, "--bundle", options.bundles,
      "a tar archive, FILE[:/PATH], whose content the disk has from the beginning, in / or in PATH; may be repeated")
      ->type_name("BUNDLE");
  command.add_option("--init", options.init, "the image's own init, such as /sbin/init, as the guest's first process")
      ->type_name("PATH");
}

void add_mediation_flags(CLI::App& command, CreateOptions& options) {
  command
      .add_option("--mediation", options.mediation,
                  "lead the guest's connections to vsock CID 2, PORT to the host: PORT=HOST:PORT or PORT=unix:/path")
      ->type_name("MAPPING");
  command.add_flag("--mediation-optional", options.mediation_optional,
                   "start even when the channel's target cannot be reached");
}

}  // namespace

Result<Manifest> plan_workspace(const CreateOptions& options) {
  auto declaration = read_flags(options);
  if (!declaration) return fail(declaration.error());
  if (options.file) {
    auto spec = workspace::load_spec(*options.file);
    if (!spec) return fail(with_context(spec.error(), "--file"));
    declaration = workspace::unite(std::move(*declaration), std::move(*spec));
  }
  if (!declaration->name) declaration->name = options.name_otherwise;
  if (!declaration->name) {
    return fail(ErrorKind::usage, "the workspace has no name", "give it as NAME, or as `name` in a spec with --file");
  }
  if (Status added = add_swaps(options.swaps, *declaration); !added) return fail(added.error());
  auto egress = settle_egress(options.egress, std::move(declaration->egress));
  if (!egress) return fail(egress.error());
  declaration->egress = std::move(*egress);
  auto manifest = workspace::resolve(*declaration);
  if (!manifest) return manifest;
  Status valid = check_egress(manifest->egress);
  if (valid) valid = check_swaps(*manifest);
  if (valid) valid = check_image(*manifest, declaration->image ? declaration->image->place : std::string());
  if (!valid) return fail(valid.error());
  manifest->created_at = utc_timestamp();
  if (const std::string warning = egress_warning(manifest->egress); !warning.empty()) {
    say("microagent: warning: " + warning);
  }
  return manifest;
}

void add_declaring_flags(CLI::App& command, CreateOptions& options) {
  command.add_option("--name", options.named, "what the workspace is called: 1 to 63 of a-z, 0-9 and -")
      ->type_name("NAME");
  command
      .add_option("-f,--file", options.file, "a spec, microagent.yaml; flags win over it, lists unite with its lists")
      ->type_name("FILE");
  command.add_option("--memory", options.memory, "the guest's memory: 512 (MiB, default), 512MiB, 2GiB")
      ->type_name("SIZE");
  command.add_option("--cpus", options.cpus, "the guest's processors, 1 by default")->type_name("COUNT");
  add_list(command, "-e,--env", options.env, "a variable of the guest's commands; may be repeated")
      ->type_name("NAME=VALUE");
  command.add_option("--entrypoint", options.entrypoint, "what the guest runs, a line for its shell")
      ->type_name("COMMAND");
  add_disk_flags(command, options);
  add_network_flags(command, options);
  add_mediation_flags(command, options);
  add_egress_flags(command, options.egress);
  add_swap_flags(command, options.swaps);
  add_upkeep_flags(command, options.upkeep);
}

void add_create(Commands& commands) {
  auto [command, options] = commands.add<CreateOptions>("create", "Check and record a new workspace", create);
  command->add_option("NAME", options->name, "1 to 63 of a-z, 0-9 and -; the spec's name where left out")
      ->type_name("");
  command
      ->add_option("--image", options->image,
                   "what the guest's root is: NAME[:TAG] or docker://NAME in a registry, oci:DIRECTORY[:TAG], or "
                   "docker-archive:FILE; a small one with busybox, in memory, where left out")
      ->type_name("IMAGE");
  add_declaring_flags(*command, *options);
  command->add_flag("--dry-run", options->dry_run, "show what would be recorded, and write nothing");
  command->footer(
      "Nothing is written unless everything is valid.\n\n"
      "In a MAPPING, HOST is 127.0.0.1 where left out; IPv6 stands in brackets. HOSTPORT 0 takes a free port, which\n"
      "`microagent network` shows. Ports may be ranges: 8000-8010:9000-9010.\n\n"
      "Words behind -- are a command in the place of the image's.\n\n"
      "Examples:\n"
      "  microagent create web -p 8080:80 --entrypoint 'httpd -f -p 80'\n"
      "  microagent create coder --cred-swap openai --cred-swap github=file:/run/secrets/github\n"
      "  microagent create job --image python:3.12-slim -- python3 -V\n"
      "  microagent create sealed --network isolated --mediation 2048=127.0.0.1:9900\n"
      "  microagent create --file microagent.yaml --memory 1GiB");
}

}  // namespace microagent::cli
