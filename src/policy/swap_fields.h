#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/swap.h"

namespace microagent::policy {

// Reads the fields of a swap strictly: each may be read once, and none may be left. Keeps the first thing wrong, with
// its place, and never a value, since that may be a secret written there by mistake.
class SwapFields {
 public:
  explicit SwapFields(const SwapText& text) : text_(text) {}

  bool has(const char* field) const { return text_.fields.contains(field); }
  void require(const char* field);

  std::optional<std::string> text(const char* field);
  std::optional<bool> truth(const char* field);
  std::optional<std::uint32_t> seconds(const char* field);
  std::vector<std::string> words(const char* field);
  std::map<std::string, std::string> entries(const char* field);
  std::optional<SecretRef> reference(const char* field);

  void reject(const std::string& field, std::string_view why, std::string remedy = {});
  // Also rejects what nobody asked for.
  Status finish();

 private:
  const nlohmann::json* find(const char* field);

  const SwapText& text_;
  std::set<std::string, std::less<>> asked_;
  Status status_;
};

}  // namespace microagent::policy
