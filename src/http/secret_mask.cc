#include "http/secret_mask.h"

#include <string.h>

#include <algorithm>

#include "base/ascii.h"

namespace microagent::http {
namespace {

constexpr std::size_t kMaxWindow = 256;  // a leap is a byte

}  // namespace

SecretForms::SecretForms(std::span<const std::string> secrets) : nodes_(1) {
  lower_.reserve(secrets.size());
  std::vector<std::string> all;
  std::size_t bytes = 1;
  for (const std::string& secret : secrets) {
    if (secret.size() < kMinMaskedSecret || secret.size() > kMaxMaskedSecret) continue;
    lower_.push_back(to_lower_ascii(secret));
    for (std::string& form : secret_forms(secret)) {
      bytes += form.size();
      all.push_back(std::move(form));
    }
  }
  nodes_.reserve(bytes);  // so that growing leaves no copy behind
  for (const std::string& form : all) add(form);
  link();
  note_pairs();
  note_leaps(all);
  for (std::string& form : all) explicit_bzero(form.data(), form.size());
}

SecretForms::~SecretForms() {
  explicit_bzero(nodes_.data(), nodes_.size() * sizeof(Node));
  explicit_bzero(pairs_.data(), pairs_.size());
  for (std::string& text : lower_) explicit_bzero(text.data(), text.size());
  if (!leaps_.empty()) explicit_bzero(leaps_.data(), leaps_.size());
}

std::uint32_t SecretForms::child_of(std::uint32_t node, std::uint8_t byte) const {
  if (node == 0) return roots_[byte];
  std::uint32_t child = nodes_[node].child;
  while (child != 0 && nodes_[child].byte != byte) child = nodes_[child].sibling;
  return child;
}

void SecretForms::add(std::string_view form) {
  longest_ = std::max(longest_, form.size());
  std::uint32_t node = 0;
  for (const char c : form) {
    const auto byte = static_cast<std::uint8_t>(c);
    std::uint32_t child = child_of(node, byte);
    if (child == 0) {
      child = static_cast<std::uint32_t>(nodes_.size());
      Node made;
      made.byte = byte;
      made.depth = nodes_[node].depth + 1;
      made.sibling = nodes_[node].child;
      nodes_.push_back(made);
      nodes_[node].child = child;
      if (node == 0) roots_[byte] = child;
    }
    node = child;
  }
  nodes_[node].match = nodes_[node].depth;
}

// Level by level, so that shorter beginnings are linked before longer ones.
void SecretForms::link() {
  std::vector<std::uint32_t> level{0};
  while (!level.empty()) {
    std::vector<std::uint32_t> deeper;
    for (const std::uint32_t node : level) {
      for (std::uint32_t child = nodes_[node].child; child != 0; child = nodes_[child].sibling) {
        nodes_[child].fallback = node == 0 ? 0 : next(nodes_[node].fallback, nodes_[child].byte);
        if (nodes_[child].match == 0) nodes_[child].match = nodes_[nodes_[child].fallback].match;
        deeper.push_back(child);
      }
    }
    level = std::move(deeper);
  }
}

// No form is shorter than two bytes.
void SecretForms::note_pairs() {
  pairs_.resize(256UL * 256);
  for (const std::uint32_t root : roots_) {
    if (root == 0) continue;
    for (std::uint32_t child = nodes_[root].child; child != 0; child = nodes_[child].sibling) {
      pairs_[pair_of(nodes_[root].byte, nodes_[child].byte)] = 1;
    }
  }
}

// A pair that stands `i` bytes into a form allows a leap that brings it there, and no longer one.
void SecretForms::note_leaps(std::span<const std::string> forms) {
  if (forms.empty()) return;
  window_ = std::min(std::ranges::min(forms, {}, &std::string::size).size(), kMaxWindow);
  leaps_.assign(256UL * 256, static_cast<std::uint8_t>(window_ - 1));
  for (const std::string& form : forms) {
    const ByteView bytes = text_bytes(form);
    for (std::size_t i = 0; i + 2 <= window_; ++i) {
      std::uint8_t& leap = leaps_[pair_of(bytes[i], bytes[i + 1])];
      leap = std::min(leap, static_cast<std::uint8_t>(window_ - 2 - i));
    }
  }
}

std::size_t SecretForms::find_begin(ByteView bytes, std::size_t from) const {
  if (empty()) return bytes.size();
  std::size_t i = from;
  while (i + window_ <= bytes.size()) {
    const std::size_t leap = leaps_[pair_of(bytes[i + window_ - 2], bytes[i + window_ - 1])];
    if (leap == 0 && pairs_[pair_of(bytes[i], bytes[i + 1])] != 0) return i;
    i += std::max<std::size_t>(leap, 1);
  }
  // What begins here ends in bytes that are still to come.
  while (i + 1 < bytes.size() && pairs_[pair_of(bytes[i], bytes[i + 1])] == 0) ++i;
  return i + 1 == bytes.size() && roots_[bytes[i]] == 0 ? i + 1 : i;
}

std::uint32_t SecretForms::next(std::uint32_t node, std::uint8_t byte) const {
  for (;;) {
    const std::uint32_t child = child_of(node, byte);
    if (child != 0 || node == 0) return child;
    node = nodes_[node].fallback;
  }
}

void SecretMask::feed(ByteView bytes, std::vector<std::uint8_t>& out) {
  // All goes to `out`, what was held back first; matches are blotted out there, and the last node says how much of the
  // end goes back.
  const std::size_t begin = out.size();
  out.insert(out.end(), held_.begin(), held_.end());
  out.insert(out.end(), bytes.begin(), bytes.end());
  const std::size_t skip = held_.size();
  held_.clear();
  // `bytes` may not be read behind a mask: what was masked still counts as it was.
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (node_ == 0) i = forms_->find_begin(bytes, i);
    if (i == bytes.size()) break;
    node_ = forms_->next(node_, bytes[i]);
    const std::uint32_t match = forms_->nodes_[node_].match;
    if (match == 0) continue;
    ++masked_;
    const std::size_t end = begin + skip + i + 1;
    const std::size_t here = std::min<std::size_t>(match, end - begin);  // the rest of it is gone
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(end - here), here, kMaskCharacter);
  }
  const std::size_t depth = forms_->nodes_[node_].depth;
  const std::size_t keep = depth < hold_from_ ? 0 : std::min(depth, out.size() - begin);
  held_.assign(out.end() - static_cast<std::ptrdiff_t>(keep), out.end());
  out.resize(out.size() - keep);
}

void SecretMask::finish(std::vector<std::uint8_t>& out) {
  if (held_.size() >= kMinMaskedSecret) std::ranges::fill(held_, kMaskCharacter);
  out.insert(out.end(), held_.begin(), held_.end());
  held_.clear();
  node_ = 0;
}

bool SecretForms::stand_in(std::string_view text) const {
  const ByteView bytes = text_bytes(text);
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (node == 0) i = find_begin(bytes, i);
    if (i == bytes.size()) break;
    node = next(node, bytes[i]);
    if (nodes_[node].match != 0) return true;
  }
  return nodes_[node].depth >= kMinMaskedSecret;
}

bool SecretForms::stand_in_name(std::string_view name) const {
  if (name.size() < kMinMaskedSecret) return false;
  const std::string text = to_lower_ascii(name);
  for (const std::string_view secret : lower_) {
    const std::string_view begin = secret.substr(0, kMinMaskedSecret);
    for (std::size_t at = text.find(begin); at != text.npos; at = text.find(begin, at + 1)) {
      const std::string_view rest = std::string_view(text).substr(at, secret.size());
      if (secret.starts_with(rest)) return true;
    }
  }
  return false;
}

std::string mask_secrets(const std::shared_ptr<const SecretForms>& forms, std::string_view text) {
  SecretMask mask(forms);
  std::vector<std::uint8_t> out;
  mask.feed(text_bytes(text), out);
  mask.finish(out);
  return {out.begin(), out.end()};
}

}  // namespace microagent::http
