#include "http/refusal.h"

#include <gtest/gtest.h>

#include "http/http2_message.h"
#include "http/http2_session.h"

namespace microagent::http {
namespace {

TEST(Refusal, IsAWholeResponse) {
  RequestMessage request;
  request.headers = {{"Accept", "application/json, text/plain"}};
  EXPECT_TRUE(wants_json(request));
  const OwnResponse out = own_response(request, 403, true, "{}");
  EXPECT_EQ(encode_head(out.head) + out.body,
            "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 2\r\n"
            "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n{}");
  EXPECT_TRUE(keeps_alive(request, own_response(request, 403, true, "{}", true).head));
  request.method = "HEAD";
  EXPECT_EQ(own_response(request, 502, false, "why").body, "");
}

TEST(Refusal, CanBeSentOverHttp2) {
  RequestMessage request;
  request.version = Version::http_2;
  const HeaderList fields = http2_fields(own_response(request, 502, false, "why\n").head);
  EXPECT_TRUE(is_sendable(fields));
  EXPECT_EQ(fields[0], (Header{":status", "502"}));
  EXPECT_EQ(header_value(fields, "content-length"), "4");
  EXPECT_EQ(find_header(fields, "connection"), nullptr);
}

TEST(Refusal, OfGrpcIsItsStatus) {
  const auto is = [](std::string type) { return is_grpc({{"Content-Type", std::move(type)}}); };
  EXPECT_TRUE(is("application/grpc") && is("application/grpc+proto") && is("Application/GRPC; a=b"));
  EXPECT_FALSE(is("application/grpc-web") || is("application/json") || is_grpc({}));
  EXPECT_EQ(grpc_status(400), GrpcStatus::invalid_argument);
  EXPECT_EQ(grpc_status(413), GrpcStatus::resource_exhausted);
  EXPECT_EQ(grpc_status(502), GrpcStatus::unavailable);
  EXPECT_EQ(grpc_status(503), GrpcStatus::unavailable);
  const HeaderList fields = grpc_refusal(GrpcStatus::permission_denied, "denied: 100%\n\xc3\xa4 ");
  EXPECT_EQ(header_value(fields, "grpc-status"), "7");
  EXPECT_EQ(header_value(fields, "grpc-message"), "denied: 100%25%0A%C3%A4%20");
  EXPECT_TRUE(is_sendable(fields));
  EXPECT_LT(encode_grpc_message(std::string(100'000, 'x')).size(), 5000u);
}

}  // namespace
}  // namespace microagent::http
