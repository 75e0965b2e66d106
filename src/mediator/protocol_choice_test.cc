#include "mediator/protocol_choice.h"

#include <gtest/gtest.h>

namespace microagent::mediator {
namespace {

using Offer = std::vector<std::string>;

void expect_choice(const Offer& offered, std::string_view chosen, std::string_view shown, Translation translation) {
  const ProtocolChoice choice = choose_protocol(offered, chosen);
  EXPECT_EQ(choice.shown, shown) << chosen;
  EXPECT_EQ(choice.translation, translation) << chosen;
}

TEST(ProtocolChoice, ShowsTheUpstreamsOwnWhereTheGuestOffersIt) {
  expect_choice({"h2", "http/1.1"}, "h2", "h2", Translation::none);
  expect_choice({"h2", "http/1.1"}, "http/1.1", "http/1.1", Translation::none);
  expect_choice({"grpc-exp", "h2"}, "grpc-exp", "grpc-exp", Translation::none);
  expect_choice({"mqtt"}, "mqtt", "mqtt", Translation::none);
  expect_choice({"http/1.1"}, "", "", Translation::none);
  expect_choice({"h2", "http/1.1"}, "", "", Translation::none);
  expect_choice({"mqtt"}, "", "", Translation::none);
  expect_choice({}, "", "", Translation::none);
}

TEST(ProtocolChoice, TranslatesWhereItMust) {
  expect_choice({"http/1.1"}, "h2", "http/1.1", Translation::to_http2);
  expect_choice({"http/1.0"}, "h2", "http/1.0", Translation::to_http2);
  expect_choice({"h2"}, "http/1.1", "h2", Translation::to_http1);
  expect_choice({"grpc-exp", "h2"}, "http/1.1", "grpc-exp", Translation::to_http1);
  expect_choice({"h2"}, "", "h2", Translation::to_http1);
}

TEST(ProtocolChoice, AsksForTheVersionThatIsMissing) {
  EXPECT_EQ(other_version({"h2"}), Offer{"http/1.1"});
  EXPECT_EQ(other_version({"grpc-exp", "h2"}), Offer{"http/1.1"});
  EXPECT_EQ(other_version({"http/1.1"}), Offer{"h2"});
  EXPECT_EQ(other_version({"h2", "http/1.1"}), Offer{});
  EXPECT_EQ(other_version({"mqtt"}), Offer{});
  EXPECT_EQ(other_version({}), Offer{});
}

}  // namespace
}  // namespace microagent::mediator
