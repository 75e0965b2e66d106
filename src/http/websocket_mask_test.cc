#include "http/websocket_mask.h"

#include <gtest/gtest.h>

#include "http/test_text.h"
#include "http/test_websocket.h"

namespace microagent::http {
namespace {

using namespace std::string_literals;

const std::string kSecret = "sk-0123456789abcdef";
const std::string kStars(kSecret.size(), kMaskCharacter);

SecretFormsPtr forms() { return std::make_shared<const SecretForms>(std::vector<std::string>{kSecret}); }

std::string text(std::string_view payload) { return websocket_frame(0x81, payload); }
std::string fed(WebSocketMask& mask, std::string_view in, std::size_t piece) {
  std::vector<std::uint8_t> out;
  for (std::size_t at = 0; at < in.size(); at += piece) mask.feed(bytes_of_text(in.substr(at, piece)), out);
  return {out.begin(), out.end()};
}

std::string masked(std::string_view in, std::size_t piece = 1'000'000) {
  WebSocketMask mask(forms());
  std::string out = fed(mask, in, piece);
  EXPECT_EQ(mask.fault(), WebSocketMask::Fault::none) << mask.fault_text();
  return out;
}

WebSocketMask::Fault fault_of(std::string_view in) {
  WebSocketMask mask(forms());
  EXPECT_EQ(fed(mask, in, 1), "");
  return mask.fault();
}

TEST(WebSocketMask, LeavesFramesAsTheyAre) {
  const std::string all = text("hello") + text("") + websocket_frame(0x82, std::string(300, '\0')) +
                          websocket_frame(0x82, std::string(70'000, 'x')) + websocket_frame(0x89, "ping") +
                          websocket_frame(0x8a, "") + websocket_frame(0x88, "\x03\xe8 bye"s);
  EXPECT_EQ(masked(all), all);
  EXPECT_EQ(masked(all, 1), all);
}

TEST(WebSocketMask, MasksMessagesInAnyPieces) {
  for (std::size_t piece = 1; piece < 60; ++piece) {
    EXPECT_EQ(masked(text("a " + kSecret + " b") + websocket_frame(0x82, kSecret), piece),
              text("a " + kStars + " b") + websocket_frame(0x82, kStars));
  }
}

TEST(WebSocketMask, HoldsNothingBackAtTheEndOfAMessage) {
  const std::string begun = text("sk-0123");
  EXPECT_EQ(masked(begun), begun);
  EXPECT_EQ(masked(begun + text("456789abcdef")), begun + text("456789abcdef"));
  EXPECT_EQ(masked(text(kSecret.substr(0, 10))), text(kStars.substr(0, 10)));  // cut off
}

TEST(WebSocketMask, FindsASecretAcrossFragments) {
  for (std::size_t cut = 0; cut <= kSecret.size(); ++cut) {
    const std::string all = websocket_frame(0x01, "<" + kSecret.substr(0, cut)) +
                            websocket_frame(0x89, "are you there") + websocket_frame(0x00, "") +
                            websocket_frame(0x80, kSecret.substr(cut) + ">") + text("next");
    for (const std::size_t piece : {1, 3, 1000}) {
      const auto seen = websocket_messages(masked(all, piece));
      ASSERT_TRUE(seen);
      EXPECT_EQ(*seen, (std::vector<std::string>{"9 are you there", "1 <" + kStars + ">", "1 next"})) << cut;
    }
  }
}

TEST(WebSocketMask, LetsFragmentsThroughAsTheyCome) {
  WebSocketMask mask(forms());
  EXPECT_EQ(fed(mask, websocket_frame(0x01, "first "), 100), websocket_frame(0x01, "first "));
  EXPECT_EQ(fed(mask, websocket_frame(0x00, "second sk-"), 100), websocket_frame(0x00, "second "));
  EXPECT_EQ(fed(mask, websocket_frame(0x80, ""), 100), websocket_frame(0x80, "sk-"));
}

TEST(WebSocketMask, MasksTheWordsOfControlFrames) {
  EXPECT_EQ(masked(websocket_frame(0x88, "\x03\xe8"s + kSecret)), websocket_frame(0x88, "\x03\xe8"s + kStars));
  EXPECT_EQ(masked(websocket_frame(0x89, kSecret), 1), websocket_frame(0x89, kStars));
}

TEST(WebSocketMask, EndsWithWhatCannotBeRead) {
  using Fault = WebSocketMask::Fault;
  EXPECT_EQ(fault_of(websocket_frame(0xc1, "packed")), Fault::extension);
  EXPECT_EQ(fault_of("\x81\x85mask....."s), Fault::malformed);  // by a server
  EXPECT_EQ(fault_of(websocket_frame(0x83, "unknown")), Fault::malformed);
  EXPECT_EQ(fault_of(websocket_frame(0x8b, "unknown")), Fault::malformed);
  EXPECT_EQ(fault_of(websocket_frame(0x80, "no message")), Fault::malformed);
  EXPECT_EQ(fault_of(websocket_frame(0x09, "a piece")), Fault::malformed);  // of a ping
  EXPECT_EQ(fault_of(websocket_frame(0x89, std::string(126, 'x'))), Fault::malformed);
  EXPECT_EQ(fault_of("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"s), Fault::malformed);
  WebSocketMask mask(forms());
  EXPECT_EQ(fed(mask, websocket_frame(0x01, "one") + text("two") + text("three"), 100), websocket_frame(0x01, "one"));
  EXPECT_EQ(mask.fault(), Fault::malformed);
}

}  // namespace
}  // namespace microagent::http
