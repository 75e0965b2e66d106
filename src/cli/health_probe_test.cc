#include "cli/health_probe.h"

#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

TEST(HttpStatus, IsTheCodeOfAStatusLine) {
  EXPECT_EQ(parse_http_status("HTTP/1.1 200 OK\r\n"), 200);
  EXPECT_EQ(parse_http_status("HTTP/1.0 404 Not Found\r\nServer: x\r\n"), 404);
  EXPECT_EQ(parse_http_status("HTTP/1.1 503\r\n"), 503);
  EXPECT_EQ(parse_http_status("HTTP/1.1 999 \n"), 999);
}

TEST(HttpStatus, IsNothingOfAnythingElse) {
  for (const char* text :
       {"", "HTTP/1.1 20", "HTTP/1.1 200", "HTTP/2 200 OK", "HTTP/1.x 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 2000 OK",
        "HTTP/1.1 020 OK", "HTTP/1.1 -20 OK", "http/1.1 200 OK", "SSH-2.0-OpenSSH_9.2p1\r\n"}) {
    EXPECT_EQ(parse_http_status(text), 0) << text;
  }
  const std::string_view whole = "HTTP/1.1 200 OK";
  for (std::size_t size = 0; size < 13; ++size) EXPECT_EQ(parse_http_status(whole.substr(0, size)), 0) << size;
}

}  // namespace
}  // namespace microagent::cli
