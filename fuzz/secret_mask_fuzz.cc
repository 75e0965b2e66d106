// A stream with secrets in it, in pieces; compared with a plain search through the whole. The input's first two bytes
// are the size of the pieces and of the secret, which is the bytes that follow.

#include <algorithm>
#include <string>

#include "base/check.h"
#include "http/secret_mask.h"

namespace microagent::http {
namespace {

// How much of a form stands at the end, cut off.
std::size_t begun_at_end(const std::vector<std::string>& forms, std::string_view text) {
  std::size_t longest = 0;
  for (const std::string& form : forms) {
    for (std::size_t size = std::min(form.size() - 1, text.size()); size > longest; --size) {
      if (text.ends_with(std::string_view(form).substr(0, size))) longest = size;
    }
  }
  return longest;
}

std::string searched(const std::string& secret, const std::string& text) {
  std::string out = text;
  if (secret.size() < kMinMaskedSecret) return out;
  for (const std::string& form : secret_forms(secret)) {
    for (std::size_t at = 0; (at = text.find(form, at)) != std::string::npos; ++at) {
      std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(at), form.size(), kMaskCharacter);
    }
  }
  const std::size_t cut = begun_at_end(secret_forms(secret), text);
  if (cut >= kMinMaskedSecret) std::fill_n(out.end() - static_cast<std::ptrdiff_t>(cut), cut, kMaskCharacter);
  return out;
}

void compare(std::size_t piece, const std::string& secret, const std::string& text) {
  const std::vector<std::string> secrets{secret};
  const auto forms = std::make_shared<const SecretForms>(secrets);
  SecretMask mask(forms);
  std::vector<std::uint8_t> out;
  const auto* data = reinterpret_cast<const std::uint8_t*>(text.data());
  for (std::size_t at = 0; at < text.size(); at += piece) {
    mask.feed({data + at, std::min(piece, text.size() - at)}, out);
    MICROAGENT_CHECK(mask.held_back() <= forms->longest());
  }
  mask.finish(out);
  MICROAGENT_CHECK(std::string(out.begin(), out.end()) == searched(secret, text));
}

}  // namespace
}  // namespace microagent::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = data[0] % 32 + 1, length = std::min<std::size_t>(data[1] % 24, size - 2);
  const std::string secret(data + 2, data + 2 + length), rest(data + 2 + length, data + size);
  microagent::http::compare(piece, secret, rest);
  // With forms of the secret in the text, which the fuzzer would not find.
  std::string text = rest;
  for (const std::string& form : microagent::http::secret_forms(secret)) text += form + rest.substr(0, 3);
  microagent::http::compare(piece, secret, text);
  return 0;
}
