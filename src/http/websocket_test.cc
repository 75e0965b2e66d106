#include "http/websocket.h"

#include <gtest/gtest.h>

namespace microagent::http {
namespace {

// The example of RFC 6455, 1.3.
TEST(WebSocket, ProvesThatTheKeyWasRead) {
  const std::array<std::uint8_t, 16> random{'t', 'h', 'e', ' ', 's', 'a', 'm', 'p',
                                            'l', 'e', ' ', 'n', 'o', 'n', 'c', 'e'};
  EXPECT_EQ(websocket_key(random), "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace microagent::http
