// A request that is answered before it is whole (RFC 9113, 8.1).

#include <gtest/gtest.h>

#include "http/http2_nobody.h"
#include "http/http2_session.h"
#include "http/test_http2.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

using Role = Http2Session::Role;
using Output = std::vector<std::uint8_t>;

std::vector<int> frame_types(const Output& output) {
  std::vector<int> types;
  for (std::size_t at = 0; at + 9 <= output.size();) {
    types.push_back(output[at + 3]);
    at += 9 + static_cast<std::size_t>(output[at] << 16 | output[at + 1] << 8 | output[at + 2]);
  }
  return types;
}

class StoppedRequest : public ::testing::Test {
 protected:
  StoppedRequest() {
    run();
    id_ = client_
              .submit_request({{":method", "POST"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", "/"}},
                              false)
              .value();
    run();
  }

  Output output() {
    Output out;
    server_.take_output(out);
    return out;
  }
  void run() {
    for (;;) {
      Output there, back;
      if (client_.take_output(there) + server_.take_output(back) == 0) return;
      server_.feed(there, 0);
      client_.feed(back, 0);
    }
  }

  Http2Session client_{{Role::client, false, {}}, http2_nobody()}, server_{{Role::server, false, {}}, http2_nobody()};
  StreamId id_ = 0;
};

// curl 7.88 loses an answer that comes together with the reset behind it while it sends.
TEST_F(StoppedRequest, IsResetInAWriteBehindTheAnswers) {
  ASSERT_TRUE(server_.submit_response(id_, {{":status", "413"}}, false));
  ASSERT_TRUE(server_.send_data(id_, bytes_of_text("no"), true));
  server_.stop_request(id_, Http2Error::no_error);
  EXPECT_EQ(frame_types(output()), (std::vector<int>{NGHTTP2_HEADERS, NGHTTP2_DATA}));
  EXPECT_TRUE(server_.wants_write());
  EXPECT_FALSE(server_.is_finished());
  EXPECT_EQ(frame_types(output()), std::vector<int>{NGHTTP2_RST_STREAM});
  EXPECT_FALSE(server_.wants_write());
}

TEST_F(StoppedRequest, IsNotResetOnceItIsWhole) {
  ASSERT_TRUE(server_.submit_response(id_, {{":status", "413"}}, true));
  server_.stop_request(id_, Http2Error::no_error);
  EXPECT_EQ(frame_types(output()), std::vector<int>{NGHTTP2_HEADERS});
  ASSERT_TRUE(client_.send_data(id_, bytes_of_text("all"), true));
  Output there;
  client_.take_output(there);
  server_.feed(there, 0);
  for (const int type : frame_types(output())) EXPECT_NE(type, NGHTTP2_RST_STREAM);
}

}  // namespace
}  // namespace microagent::http
