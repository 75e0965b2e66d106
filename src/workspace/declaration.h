#pragma once

// What the user wrote, before it becomes a manifest: flags and spec, each value with its place for error messages.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workspace/declared.h"
#include "workspace/declared_mediation.h"
#include "workspace/manifest.h"

namespace microagent::workspace {

struct EgressDeclaration {
  std::optional<Declared<std::string>> mode;
  std::optional<Declared<bool>> lock_allowlist, observe;
  std::vector<EgressRule> allow, deny, passthrough;  // each with its place
  std::optional<Declared<std::uint64_t>> max_total_bytes, max_bytes_per_second;
  std::optional<Declared<std::uint32_t>> max_connections;
  std::vector<Declared<std::string>> trust;  // paths
  std::vector<DeclaredSwap> swaps;           // each with its place
};

struct Declaration {
  std::optional<Declared<std::string>> name;
  std::optional<Declared<NetworkMode>> mode;
  std::optional<Declared<std::string>> ip, subnet, gateway;
  std::vector<Declared<Forward>> forwards;
  std::vector<Declared<std::string>> dns, routes;
  std::optional<Declared<std::uint32_t>> memory_mib, cpus;
  std::vector<Declared<std::string>> env;  // NAME=VALUE
  std::optional<Declared<std::string>> entrypoint;
  std::optional<Declared<std::string>> image, init;
  std::vector<Declared<std::string>> command;  // argv
  std::optional<Declared<std::uint32_t>> disk_mib;
  std::vector<Declared<Volume>> volumes;
  std::vector<Declared<Bundle>> bundles;
  EgressDeclaration egress;
  std::vector<Declared<std::string>> providers;  // of credentials: PROVIDER[=REF], as --cred-swap has it
  DeclaredMediation mediation;
  DeclaredUpkeep upkeep;
};

// Each of these reads one value. Kind usage; the message does not say the place.
Result<NetworkMode> parse_mode(std::string_view text);
Result<std::uint32_t> parse_memory(std::string_view text);  // MiB; "512", "512MiB", "2G"
Result<std::uint32_t> parse_disk(std::string_view text);    // the same
Result<Volume> parse_volume(std::string_view text);         // NAME:/PATH
Result<Bundle> parse_bundle(std::string_view text);         // FILE[:/PATH]
Result<std::uint32_t> parse_cpus(std::string_view text);

// Flags win, lists unite: the spec's entries first. A variable that both set has the flag's value.
Declaration unite(Declaration flags, Declaration spec);
EgressDeclaration unite(EgressDeclaration stronger, EgressDeclaration weaker);

// Makes the paths of what a file in `directory` says, or a flag in the working directory, absolute.
void anchor_trust(EgressDeclaration& egress, const std::filesystem::path& directory);

// The same for an image that lies in a directory or a file: oci:DIR and docker-archive:FILE.
std::string anchored_image(const std::string& text, const std::filesystem::path& directory);
void anchor_image(Declaration& declaration, const std::filesystem::path& directory);

// And for bundles.
void anchor_bundles(Declaration& declaration, const std::filesystem::path& directory);

// The manifest with every rule checked and every default but created_at filled in. Kind usage; the message says the
// place.
Result<Manifest> resolve(const Declaration& declaration);

}  // namespace microagent::workspace
