#include "http/content_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "http/test_packed.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

struct Outcome {
  std::string text;
  bool whole = false;
  DecodeFault fault = DecodeFault::none;
};

Outcome decode(ContentCoding coding, std::string_view text, std::size_t piece, std::size_t room, std::size_t most) {
  ContentDecoder decoder(coding);
  Outcome out;
  std::vector<std::uint8_t> buffer(room);
  for (std::size_t at = 0; at < text.size() && decoder.fault() == DecodeFault::none; at += piece) {
    ByteView part = bytes_of_text(text.substr(at, piece));
    for (;;) {
      const ContentDecoder::Step step = decoder.decode(part, buffer);
      if (step.taken == 0 && step.made == 0) break;
      part = part.subspan(step.taken);
      out.text.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(step.made));
      if (out.text.size() > most) out.text.clear();
    }
  }
  out.whole = decoder.on_end();
  out.fault = decoder.fault();
  return out;
}
Outcome decode(ContentCoding coding, std::string_view text) { return decode(coding, text, 4096, 4096, 1 << 26); }

constexpr ContentCoding kCodings[] = {ContentCoding::identity, ContentCoding::gzip, ContentCoding::deflate,
                                      ContentCoding::br, ContentCoding::zstd};

std::string some_text() {
  std::mt19937 random(3);
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "word" + std::to_string(random() % 500) + (i % 7 == 0 ? "\n" : " ");
  return text;
}

TEST(ContentDecoder, UndoesEveryCodingInAnyPieces) {
  const std::string text = some_text();
  for (const ContentCoding coding : kCodings) {
    const std::string wire = packed(coding, text);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, wire.size()}) {
      for (const std::size_t room : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20}) {
        const Outcome out = decode(coding, wire, piece, room, 1 << 26);
        EXPECT_EQ(out.text, text) << static_cast<int>(coding) << " " << piece << " " << room;
        EXPECT_TRUE(out.whole) << static_cast<int>(coding) << to_string(out.fault);
      }
    }
    EXPECT_TRUE(decode(coding, "").whole);
    EXPECT_EQ(decode(coding, packed(coding, "")).text, "");
  }
  EXPECT_EQ(decode(ContentCoding::deflate, zlib_packed(text, -MAX_WBITS)).text, text);  // bare
  const std::string two = packed(ContentCoding::gzip, "a") + packed(ContentCoding::gzip, "b");
  EXPECT_EQ(decode(ContentCoding::gzip, two).text, "ab");
}

TEST(ContentDecoder, TellsWhatIsCutOffOrWrong) {
  const std::string text = some_text();
  for (const ContentCoding coding :
       {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::br, ContentCoding::zstd}) {
    const std::string wire = packed(coding, text);
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, wire.size() / 2, wire.size() - 1}) {
      const Outcome out = decode(coding, wire.substr(0, size));
      EXPECT_FALSE(out.whole) << static_cast<int>(coding) << " " << size;
      EXPECT_EQ(to_string(out.fault), to_string(DecodeFault::cut_off)) << static_cast<int>(coding) << " " << size;
      EXPECT_TRUE(text.starts_with(out.text));
    }
    EXPECT_EQ(decode(coding, "no such thing as this at all").fault, DecodeFault::bad_data) << static_cast<int>(coding);
    EXPECT_EQ(decode(coding, wire + "more bytes").fault, DecodeFault::bad_data) << static_cast<int>(coding);
  }
}

TEST(ContentDecoder, StopsBombs) {
  const std::string zeros(256 << 20, '\0');
  for (const ContentCoding coding : {ContentCoding::br, ContentCoding::zstd}) {
    const Outcome out = decode(coding, packed(coding, zeros), 65536, 65536, 1 << 20);
    EXPECT_EQ(to_string(out.fault), to_string(DecodeFault::bomb)) << static_cast<int>(coding);
  }
}

TEST(ContentDecoder, ReadsTheHeader) {
  EXPECT_EQ(parse_content_coding(""), ContentCoding::identity);
  EXPECT_EQ(parse_content_coding("GZip"), ContentCoding::gzip);
  EXPECT_EQ(parse_content_coding("br"), ContentCoding::br);
  EXPECT_EQ(parse_content_coding("gzip, br"), ContentCoding::unknown);
  EXPECT_EQ(parse_content_coding("compress"), ContentCoding::unknown);
}

}  // namespace
}  // namespace microagent::http
