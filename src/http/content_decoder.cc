#include "http/content_decoder.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "http/grammar.h"

namespace microagent::http {

// One coding. `taken` and `made` are set; the fault is none, bad_data or too_large.
class ContentDecoder::Engine {
 public:
  virtual ~Engine() = default;
  virtual DecodeFault step(ByteView in, MutableBytes out, Step& step) = 0;
  virtual bool is_whole() const = 0;                 // the input may end here
  virtual bool takes_more() const { return false; }  // behind what is whole
};

class ContentDecoder::Copy final : public Engine {
 public:
  DecodeFault step(ByteView in, MutableBytes out, Step& step) override {
    step.taken = step.made = std::min(in.size(), out.size());
    if (step.taken > 0) std::memcpy(out.data(), in.data(), step.taken);
    return DecodeFault::none;
  }
  bool is_whole() const override { return true; }
  bool takes_more() const override { return true; }
};

// gzip, of one member or several; zlib; and the bare deflate that some servers send by that name.
class ContentDecoder::Zlib final : public Engine {
 public:
  explicit Zlib(bool gzip) : gzip_(gzip) {
    if (gzip) start(MAX_WBITS + 16);
  }
  ~Zlib() override {
    if (started_) inflateEnd(&stream_);
  }
  Zlib(const Zlib&) = delete;
  Zlib& operator=(const Zlib&) = delete;

  DecodeFault step(ByteView in, MutableBytes out, Step& step) override {
    if (!started_) {
      while (head_size_ < head_.size() && step.taken < in.size()) head_[head_size_++] = in[step.taken++];
      if (head_size_ < head_.size()) return DecodeFault::none;
      const bool is_zlib = (head_[0] & 0x0f) == Z_DEFLATED && (head_[0] << 8 | head_[1]) % 31 == 0;
      start(is_zlib ? MAX_WBITS : -MAX_WBITS);
      Step first;
      const DecodeFault fault = inflate_some(head_, out, first);
      // Two bytes begin a block at most; what they make fits.
      step.made = first.made;
      return first.taken == head_.size() || whole_ ? fault : DecodeFault::bad_data;
    }
    return inflate_some(in, out, step);
  }
  bool is_whole() const override { return whole_ || (gzip_ && !begun_); }
  bool takes_more() const override { return gzip_; }

 private:
  void start(int bits) {
    started_ = true;
    MICROAGENT_CHECK(inflateInit2(&stream_, bits) == Z_OK);
  }

  DecodeFault inflate_some(ByteView in, MutableBytes out, Step& step) {
    if (whole_) {
      if (in.empty()) return DecodeFault::none;
      if (!gzip_) return DecodeFault::bad_data;
      inflateReset(&stream_);
      whole_ = false;
    }
    if (!in.empty()) begun_ = true;
    stream_.next_in = const_cast<Bytef*>(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    step.taken += in.size() - stream_.avail_in;
    step.made += out.size() - stream_.avail_out;
    whole_ = result == Z_STREAM_END;
    // Z_BUF_ERROR: nothing to take or no room, which is no error.
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR ? DecodeFault::none
                                                                             : DecodeFault::bad_data;
  }

  bool gzip_;
  bool started_ = false, begun_ = false, whole_ = false;
  std::array<std::uint8_t, 2> head_{};
  std::size_t head_size_ = 0;
  z_stream stream_{};
};

class ContentDecoder::Brotli final : public Engine {
 public:
  Brotli() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) { MICROAGENT_CHECK(state_ != nullptr); }
  ~Brotli() override { BrotliDecoderDestroyInstance(state_); }
  Brotli(const Brotli&) = delete;
  Brotli& operator=(const Brotli&) = delete;

  DecodeFault step(ByteView in, MutableBytes out, Step& step) override {
    if (is_whole()) return in.empty() ? DecodeFault::none : DecodeFault::bad_data;
    std::size_t in_left = in.size(), out_left = out.size();
    const std::uint8_t* next_in = in.data();
    std::uint8_t* next_out = out.data();
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state_, &in_left, &next_in, &out_left, &next_out, nullptr);
    step.taken = in.size() - in_left;
    step.made = out.size() - out_left;
    return result == BROTLI_DECODER_RESULT_ERROR ? DecodeFault::bad_data : DecodeFault::none;
  }
  bool is_whole() const override { return BrotliDecoderIsFinished(state_) != 0; }

 private:
  BrotliDecoderState* state_;
};

class ContentDecoder::Zstd final : public Engine {
 public:
  Zstd() : state_(ZSTD_createDStream()) {
    MICROAGENT_CHECK(state_ != nullptr);
    MICROAGENT_CHECK(!ZSTD_isError(ZSTD_DCtx_setParameter(state_, ZSTD_d_windowLogMax, kMaxWindowBits)));
  }
  ~Zstd() override { ZSTD_freeDStream(state_); }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  DecodeFault step(ByteView in, MutableBytes out, Step& step) override {
    if (whole_ && in.empty()) return DecodeFault::none;
    // Given a whole frame and room for it at once, the library takes a short cut that is stricter about the frame's
    // size than its streams are. What a body is must not depend on the pieces in which it comes: no short cut, then.
    const bool within_frame = begun_ && !whole_;
    ZSTD_inBuffer input{in.data(), within_frame ? in.size() : std::min<std::size_t>(in.size(), 1), 0};
    begun_ = begun_ || !in.empty();
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const std::size_t result = ZSTD_decompressStream(state_, &output, &input);
    step.taken = input.pos;
    step.made = output.pos;
    if (ZSTD_isError(result)) {
      return ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge ? DecodeFault::too_large
                                                                                   : DecodeFault::bad_data;
    }
    // With nothing taken or made the frame's state is as it was.
    if (step.taken > 0 || step.made > 0) whole_ = result == 0;
    return DecodeFault::none;
  }
  bool is_whole() const override { return whole_; }
  bool takes_more() const override { return true; }  // frames may follow each other

 private:
  ZSTD_DStream* state_;
  bool begun_ = false;
  bool whole_ = false;
};

ContentCoding parse_content_coding(std::string_view value) {
  if (value.empty() || same_word(value, "identity")) return ContentCoding::identity;
  if (same_word(value, "gzip") || same_word(value, "x-gzip")) return ContentCoding::gzip;
  if (same_word(value, "deflate")) return ContentCoding::deflate;
  if (same_word(value, "br")) return ContentCoding::br;
  if (same_word(value, "zstd")) return ContentCoding::zstd;
  return ContentCoding::unknown;
}

std::size_t memory_of(ContentCoding coding) {
  constexpr std::size_t kMebi = 1024 * 1024;
  switch (coding) {
    case ContentCoding::gzip:
    case ContentCoding::deflate: return 64 * 1024;
    case ContentCoding::br: return (16 + 2) * kMebi;  // its largest window, and tables
    case ContentCoding::zstd: return (std::size_t{1} << kMaxWindowBits) + kMebi;
    case ContentCoding::identity:
    case ContentCoding::unknown: break;
  }
  return 0;
}

std::string_view to_string(DecodeFault fault) {
  switch (fault) {
    case DecodeFault::none: return "nothing wrong";
    case DecodeFault::bad_data: return "a body that its Content-Encoding does not explain";
    case DecodeFault::cut_off: return "an encoded body that was cut off";
    case DecodeFault::bomb: return "an encoded body that grows without measure";
    case DecodeFault::too_large: return "an encoded body that wants too much memory";
  }
  return "unknown";
}

ContentDecoder::ContentDecoder(ContentCoding coding) {
  MICROAGENT_CHECK(coding != ContentCoding::unknown);
  switch (coding) {
    case ContentCoding::gzip: engine_ = std::make_unique<Zlib>(true); break;
    case ContentCoding::deflate: engine_ = std::make_unique<Zlib>(false); break;
    case ContentCoding::br: engine_ = std::make_unique<Brotli>(); break;
    case ContentCoding::zstd: engine_ = std::make_unique<Zstd>(); break;
    default: engine_ = std::make_unique<Copy>();
  }
}
ContentDecoder::~ContentDecoder() = default;
ContentDecoder::ContentDecoder(ContentDecoder&&) noexcept = default;
ContentDecoder& ContentDecoder::operator=(ContentDecoder&&) noexcept = default;

ContentDecoder::Step ContentDecoder::decode(ByteView in, MutableBytes out) {
  if (fault_ != DecodeFault::none) return {};
  // So that the counts of 32 bits within suffice.
  in = in.first(std::min<std::size_t>(in.size(), 1 << 24));
  out = out.first(std::min<std::size_t>(out.size(), 1 << 24));
  Step step;
  if (const DecodeFault fault = engine_->step(in, out, step); fault != DecodeFault::none) return fail(fault);
  taken_ += step.taken;
  made_ += step.made;
  if (made_ > kFreeOutput && made_ / kMaxRatio > taken_) return fail(DecodeFault::bomb);
  done_ = engine_->is_whole() && !engine_->takes_more();
  return step;
}

bool ContentDecoder::on_end() {
  if (fault_ != DecodeFault::none) return false;
  // Servers send nothing at all where a body is empty.
  done_ = engine_->is_whole() || taken_ == 0;
  if (!done_) fault_ = DecodeFault::cut_off;
  return done_;
}

ContentDecoder::Step ContentDecoder::fail(DecodeFault fault) {
  fault_ = fault;
  return {};
}

}  // namespace microagent::http
