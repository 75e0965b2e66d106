#pragma once

// Looks through a response for a secret that its upstream sends back, and blots it out. What holds none passes byte for
// byte, compressed bodies too: those are decoded beside, and only what was seen to be clean goes on. Where the secret
// turns up in a compressed body before any of it went on, the body goes on decoded; where it turns up later, the
// response ends there.

#include <memory>
#include <string_view>
#include <vector>

#include "http/content_decoder.h"
#include "http/message.h"
#include "http/secret_mask.h"

namespace microagent::http {

using SecretFormsPtr = std::shared_ptr<const SecretForms>;

// So much of a secret's beginning, and no more, may get through at the end of a piece (secret_mask.h).
inline constexpr std::size_t kHeldFrom = 4;

// Headers of a response, or trailers. How many were masked.
std::size_t mask_headers(const SecretFormsPtr& forms, HeaderList& headers);

class EchoMask {
 public:
  enum class Fault : std::uint8_t { none, undecodable, late_echo };

  // For the body of a response with these headers. One in a coding that nobody asked for is at fault from the start;
  // one that calls a coding what is none is looked through as it is.
  EchoMask(SecretFormsPtr forms, const HeaderList& headers);

  // The most that one for such a response holds.
  static std::size_t memory_for(const HeaderList& headers);

  // Takes from `in` and appends to `out` what may go on, about kPiece at a time; returns how much it took. Call it
  // again while it takes or gives something. Nothing more comes after a fault.
  std::size_t feed(ByteView in, std::vector<std::uint8_t>& out);
  // The body is over, and feed() took all of it. Appends what is left.
  void finish(std::vector<std::uint8_t>& out);

  // Nothing has gone on, and the head must wait: it is not known yet whether the body goes on decoded, or will never go
  // on.
  bool undecided() const { return way_ == Way::undecided || fault_ != Fault::none; }
  // The body goes on decoded; its head is to say so.
  bool decodes() const { return way_ == Way::decoded; }
  Fault fault() const { return fault_; }
  std::string_view fault_text() const;
  std::uint64_t masked() const { return mask_.masked(); }

  // Of one that is decoded: no coding and no length.
  static void strip_coding(HeaderList& headers);

  static constexpr std::size_t kPiece = 64 * 1024;

 private:
  enum class Way : std::uint8_t {
    plain,      // there is no coding
    undecided,  // a coding, and all of it is in held_
    as_it_is,   // a coding, and what was clean has gone on
    decoded,    // a coding that is undone, since the secret is within
  };

  void scan(ByteView piece, std::vector<std::uint8_t>& out);
  void decode_again();
  std::size_t decode_piece(ByteView& in, std::vector<std::uint8_t>& out);
  void stop(Fault fault) { fault_ = fault; }

  SecretFormsPtr forms_;
  SecretMask mask_;
  ContentCoding coding_;
  std::unique_ptr<ContentDecoder> decoder_;
  Way way_ = Way::plain;
  std::vector<std::uint8_t> held_;  // encoded; of Way::decoded: what is to be decoded again, from replayed_ on
  std::size_t replayed_ = 0;
  std::vector<std::uint8_t> scratch_, seen_;
  Fault fault_ = Fault::none;
};

}  // namespace microagent::http
