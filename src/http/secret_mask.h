#pragma once

// Blots a secret out of bytes that stream by, whatever pieces they come in: as it is, in base64 of either alphabet and
// within longer base64 (Basic credentials), percent-encoded, and as writers of JSON and HTML have it. A mask is as long
// as what it covers, so that no length changes.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace microagent::http {

// Shorter ones would stand in ordinary text by chance.
inline constexpr std::size_t kMinMaskedSecret = 8;
inline constexpr std::size_t kMaxMaskedSecret = 16 * 1024;
inline constexpr char kMaskCharacter = '*';

// How a secret may be written: the forms to look for, each once. Within longer base64 the characters at both ends that
// it shares with its neighbours are left out, four bits at most on either side; base64, too, may be written in the ways
// of URLs, JSON and HTML.
std::vector<std::string> secret_forms(std::string_view secret);

// The forms of some secrets, to be looked for at once: from where one may begin by Aho and Corasick's automaton, and up
// to there by leaps (Wu and Manber, "A fast algorithm for multi-pattern searching"). Many streams may share one.
class SecretForms {
 public:
  // Secrets of a length out of bounds are passed over.
  explicit SecretForms(std::span<const std::string> secrets);
  ~SecretForms();
  SecretForms(const SecretForms&) = delete;
  SecretForms& operator=(const SecretForms&) = delete;

  bool empty() const { return nodes_.size() == 1; }
  // Any of them, or as much of one at the end of the text as would be masked for itself.
  bool stand_in(std::string_view text) const;
  // The same of the name of a header, in which upper and lower case are one: whoever passes it on may change them.
  bool stand_in_name(std::string_view name) const;
  std::size_t longest() const { return longest_; }

 private:
  friend class SecretMask;
  // What has been read is the first `depth` bytes of a form, and of none deeper.
  struct Node {
    std::uint32_t child = 0;  // the first; 0: none
    std::uint32_t sibling = 0;
    std::uint32_t fallback = 0;  // for the longest end of it that begins a form, too
    std::uint32_t depth = 0;
    std::uint32_t match = 0;  // the length of the longest form that ends here; 0: none
    std::uint8_t byte = 0;
  };

  void add(std::string_view form);
  void link();
  void note_pairs();
  void note_leaps(std::span<const std::string> forms);
  std::uint32_t child_of(std::uint32_t node, std::uint8_t byte) const;
  std::uint32_t next(std::uint32_t node, std::uint8_t byte) const;
  // The first place from `from` on where a form may begin.
  std::size_t find_begin(ByteView bytes, std::size_t from) const;
  static std::size_t pair_of(std::uint8_t first, std::uint8_t second) { return first * 256U + second; }

  std::vector<Node> nodes_;
  std::vector<std::uint8_t> pairs_;  // whether a form begins with these two bytes
  // Every form is at least window_ bytes long. Where a window of so many bytes ends with a pair, no form begins at the
  // next leaps_[pair] places, of which the window's beginning is the first.
  std::vector<std::uint8_t> leaps_;
  std::size_t window_ = 0;
  std::uint32_t roots_[256] = {};
  std::vector<std::string> lower_;  // the secrets, in lower case
  std::size_t longest_ = 0;
};

class SecretMask {
 public:
  // What is shorter than `hold_from` is not held back at the end of a piece, though it begins a secret: that much of it
  // may get through. In a conversation a message that ends by chance as a secret begins would else wait for its answer.
  explicit SecretMask(std::shared_ptr<const SecretForms> forms, std::size_t hold_from = 1)
      : forms_(std::move(forms)), hold_from_(hold_from) {}

  // Appends what can be no part of a secret any more, masked. What may be the beginning of one is held back, less than
  // the longest form.
  void feed(ByteView bytes, std::vector<std::uint8_t>& out);
  // Appends what is held back: nothing follows. As much of a secret as would be masked for itself is masked: whoever
  // cuts texts off would else show it but for its end.
  void finish(std::vector<std::uint8_t>& out);

  std::size_t held_back() const { return held_.size(); }
  std::uint64_t masked() const { return masked_; }  // how many times

 private:
  std::shared_ptr<const SecretForms> forms_;
  std::size_t hold_from_;
  std::uint32_t node_ = 0;
  std::vector<std::uint8_t> held_;
  std::uint64_t masked_ = 0;
};

// Of a whole text: a header's value.
std::string mask_secrets(const std::shared_ptr<const SecretForms>& forms, std::string_view text);

}  // namespace microagent::http
