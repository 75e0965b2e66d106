#include "http/echo_mask.h"

#include <algorithm>
#include <array>
#include <utility>

#include "http/grammar.h"

namespace microagent::http {
namespace {

constexpr std::size_t kScratch = 16 * 1024;
// Encoded bytes that decode to nothing, or to what may be the beginning of a secret, and no more.
constexpr std::size_t kMaxHeld = 256 * 1024;

ContentCoding coding_of(const HeaderList& headers) {
  if (count_headers(headers, "content-encoding") > 1) return ContentCoding::unknown;
  return parse_content_coding(header_value(headers, "content-encoding"));
}

// What is packed in a way that is not undone here: a coding that is registered (RFC 9110, 16.6.1), or several. Other
// words stand there by mistake ("utf-8", "none"), and nothing is packed.
bool is_beyond_us(const HeaderList& headers) {
  constexpr std::array<std::string_view, 7> kRegistered{"compress", "x-compress", "exi",      "pack200-gzip",
                                                        "dcb",      "dcz",        "aes128gcm"};
  const std::string_view value = header_value(headers, "content-encoding");
  return count_headers(headers, "content-encoding") > 1 || value.find(',') != value.npos ||
         std::ranges::any_of(kRegistered, [&](std::string_view name) { return same_word(value, name); });
}

}  // namespace

std::size_t mask_headers(const SecretFormsPtr& forms, HeaderList& headers) {
  std::size_t count = 0;
  for (Header& header : headers) {
    const bool in_name = forms->stand_in(header.name) || forms->stand_in_name(header.name);
    const bool in_value = forms->stand_in(header.value);
    if (in_name) header.name.assign(header.name.size(), kMaskCharacter);
    if (in_value) header.value = mask_secrets(forms, header.value);
    if (in_name || in_value) ++count;
  }
  return count;
}

EchoMask::EchoMask(SecretFormsPtr forms, const HeaderList& headers)
    : forms_(std::move(forms)), mask_(forms_, kHeldFrom), coding_(coding_of(headers)) {
  if (coding_ == ContentCoding::unknown && is_beyond_us(headers)) fault_ = Fault::undecodable;
  if (coding_ == ContentCoding::identity || coding_ == ContentCoding::unknown) return;
  decoder_ = std::make_unique<ContentDecoder>(coding_);
  way_ = Way::undecided;
  scratch_.resize(kScratch);
}

// What has come and is held, what is decoded of it, and what goes on.
std::size_t EchoMask::memory_for(const HeaderList& headers) { return 4 * kPiece + memory_of(coding_of(headers)); }

std::size_t EchoMask::feed(ByteView in, std::vector<std::uint8_t>& out) {
  const std::size_t size = in.size(), before = out.size();
  if (fault_ != Fault::none) return 0;
  if (way_ == Way::plain) {
    const std::size_t taken = std::min(size, kPiece);
    mask_.feed(in.first(taken), out);
    return taken;
  }
  if (way_ != Way::decoded) {
    if (in.empty()) return 0;
    const std::size_t taken = std::min(size, kPiece);
    scan(in.first(taken), out);
    if (way_ != Way::decoded) return fault_ == Fault::none ? taken : 0;
    in = in.subspan(taken);
  }
  while (fault_ == Fault::none && out.size() - before < kPiece && decode_piece(in, out) > 0) continue;
  return size - in.size();
}

// Decodes a piece of what has just come, to see whether it is clean.
void EchoMask::scan(ByteView piece, std::vector<std::uint8_t>& out) {
  held_.insert(held_.end(), piece.begin(), piece.end());
  bool made_any = false;
  for (;;) {
    const ContentDecoder::Step step = decoder_->decode(piece, scratch_);
    piece = piece.subspan(step.taken);
    if (step.taken == 0 && step.made == 0) break;
    made_any = made_any || step.made > 0;
    mask_.feed(ByteView(scratch_).first(step.made), seen_);
    seen_.clear();
    if (mask_.masked() == 0) continue;
    if (way_ == Way::as_it_is) return stop(Fault::late_echo);
    return decode_again();
  }
  // Bytes behind the end are none of the body that was declared.
  if (decoder_->fault() != DecodeFault::none || !piece.empty()) return stop(Fault::undecodable);
  const bool waits = mask_.held_back() > 0 || (way_ == Way::undecided && !made_any);
  if (waits && held_.size() <= kMaxHeld) return;
  if (mask_.held_back() > 0) return stop(Fault::undecodable);
  way_ = Way::as_it_is;
  out.insert(out.end(), held_.begin(), held_.end());
  held_.clear();
}

void EchoMask::decode_again() {
  way_ = Way::decoded;
  decoder_ = std::make_unique<ContentDecoder>(coding_);
  mask_ = SecretMask(forms_, kHeldFrom);
}

// What came first, then what comes. How many bytes it took or made.
std::size_t EchoMask::decode_piece(ByteView& in, std::vector<std::uint8_t>& out) {
  const ByteView again = ByteView(held_).subspan(replayed_);
  const ContentDecoder::Step step = decoder_->decode(again.empty() ? in : again, scratch_);
  if (decoder_->fault() != DecodeFault::none) {
    stop(Fault::undecodable);
    return 0;
  }
  if (again.empty()) in = in.subspan(step.taken);
  else replayed_ += step.taken;
  mask_.feed(ByteView(scratch_).first(step.made), out);
  return step.taken + step.made;
}

void EchoMask::finish(std::vector<std::uint8_t>& out) {
  if (fault_ != Fault::none) return;
  if (decoder_ && !decoder_->on_end()) return stop(Fault::undecodable);
  if (way_ == Way::plain || way_ == Way::decoded) return mask_.finish(out);
  way_ = Way::as_it_is;
  out.insert(out.end(), held_.begin(), held_.end());
  held_.clear();
}

std::string_view EchoMask::fault_text() const {
  switch (fault_) {
    case Fault::none: return "nothing wrong";
    case Fault::undecodable: return "a body that its Content-Encoding does not explain cannot be looked through";
    case Fault::late_echo: return "the response sent the credential back within a compressed body";
  }
  return "unknown";
}

void EchoMask::strip_coding(HeaderList& headers) {
  for (const char* name : {"content-encoding", "content-length"}) remove_header(headers, name);
}

}  // namespace microagent::http
