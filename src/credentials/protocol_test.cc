#include "credentials/protocol.h"

#include <gtest/gtest.h>

namespace microagent::credentials {
namespace {

using std::chrono::milliseconds;

TEST(Protocol, CarriesACredential) {
  const Credential credential{std::make_shared<const Secret>(Secret::of("s3cret")), 7, milliseconds(250)};
  const Secret packet = encode_answer(3, credential);
  const auto answer = parse_answer(text_bytes(packet.view()));
  ASSERT_TRUE(answer && answer->credential);
  EXPECT_EQ(answer->swap, 3U);
  EXPECT_EQ(answer->credential->secret->view(), "s3cret");
  EXPECT_EQ(answer->credential->version, 7U);
  EXPECT_EQ(answer->credential->fresh, milliseconds(250));
}

TEST(Protocol, CarriesAnErrorOfBoundedLength) {
  const Secret packet = encode_answer(3, fail(ErrorKind::transient, std::string(5000, 'x')));
  const auto answer = parse_answer(text_bytes(packet.view()));
  ASSERT_TRUE(answer);
  ASSERT_FALSE(answer->credential);
  EXPECT_EQ(answer->credential.error().message, std::string(kMaxErrorWords, 'x'));
}

TEST(Protocol, RefusesWhatIsCutOff) {
  const Credential credential{std::make_shared<const Secret>(Secret::of("s")), 1, milliseconds(1)};
  const Secret packet = encode_answer(3, credential);
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_FALSE(parse_answer(text_bytes(packet.view().substr(0, size)))) << size;
  }
  const std::string large(kMaxAnswer + 1, 'x');
  EXPECT_FALSE(parse_answer(text_bytes(large)));
  const Ask ask{1, 0, 2};
  EXPECT_EQ(parse_ask(bytes_of(ask))->refused, 2U);
  EXPECT_FALSE(parse_ask(bytes_of(ask).first(sizeof ask - 1)));
  EXPECT_FALSE(parse_ask({}));
}

}  // namespace
}  // namespace microagent::credentials
