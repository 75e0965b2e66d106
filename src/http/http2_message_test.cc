#include "http/http2_message.h"

#include <gtest/gtest.h>

#include "http/head_reader.h"
#include "http/http2_session.h"
#include "http/test_text.h"

namespace microagent::http {
namespace {

using Fault = MessageFault;

HeaderList request_with(HeaderList more, std::string path = "/x?q") {
  HeaderList fields{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", std::move(path)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

Fault fault_of(const HeaderList& fields) {
  RequestMessage out;
  return parse_http2_request(fields, out);
}

TEST(Http2Message, ReadsARequest) {
  RequestMessage request;
  ASSERT_EQ(parse_http2_request(request_with({{"a", "1"}}), request), Fault::none);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/x?q");
  EXPECT_EQ(request.path, "/x");
  EXPECT_EQ(request.authority.host, "a.example");
  EXPECT_EQ(request.headers, (HeaderList{{"a", "1"}}));
  EXPECT_EQ(http2_fields(request), request_with({{"a", "1"}}));
}

TEST(Http2Message, RefusesWhatAnHttp1ServerWouldReadDifferently) {
  struct Case {
    HeaderList fields;
    Fault fault;
  };
  const Case cases[] = {
      {request_with({{"host", "b.example"}}), Fault::host_differs},
      {request_with({{"host", "a.example"}, {"host", "a.example"}}), Fault::several_hosts},
      {request_with({{"host", "a.example:444"}}), Fault::host_differs},
      {request_with({{"host", "a b"}}), Fault::bad_host},
      {request_with({{"transfer-encoding", "chunked"}}), Fault::connection_header},
      {request_with({{"connection", "close"}}), Fault::connection_header},
      {request_with({{"upgrade", "h2c"}}), Fault::connection_header},
      {request_with({{"a", "b\r\nc: d"}}), Fault::bad_header},
      {request_with({{"a b", "c"}}), Fault::bad_header},
      {request_with({{"a", " b"}}), Fault::bad_header},
      {request_with({{"content-length", "1"}, {"content-length", "1"}}), Fault::several_lengths},
      {request_with({{"content-length", "+1"}}), Fault::bad_length},
      {request_with({{"content_length", "1"}}), Fault::look_alike},
      {request_with({}, "x"), Fault::bad_target},
      {request_with({}, "/x y"), Fault::bad_target},
      {request_with({}, "/x#y"), Fault::bad_target},
      {request_with({}, "/x HTTP/1.1\r\nA: b"), Fault::bad_target},
      {request_with({}, "*"), Fault::bad_target},
      {request_with({}, "https://b.example/"), Fault::bad_target},
      {request_with({{":path", "/y"}}), Fault::bad_pseudo_header},
      {{{":method", "CONNECT"}, {":authority", "a.example:443"}}, Fault::connect},
      {{{":method", "CONNECT"},
        {":protocol", "h2c"},
        {":scheme", "https"},
        {":authority", "a.example"},
        {":path", "/"}},
       Fault::http_upgrade},
      {{{":method", "G T"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}}, Fault::bad_pseudo_header},
      {{{":method", "GET"}, {":scheme", "ftp"}, {":authority", "a"}, {":path", "/"}}, Fault::bad_pseudo_header},
      {{{":method", "GET"}, {":scheme", "https"}, {":authority", "u@a"}, {":path", "/"}}, Fault::bad_host},
      {{{":method", "GET"}, {":scheme", "https"}, {":path", "/"}}, Fault::no_host},
      {{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}}, Fault::bad_target},
      {{{":method", "GET"}, {":protocol", "websocket"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}},
       Fault::bad_pseudo_header},
  };
  for (const Case& one : cases) EXPECT_EQ(to_string(fault_of(one.fields)), to_string(one.fault));
  EXPECT_EQ(fault_of({{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {"host", "a.example"}}), Fault::none);
  EXPECT_EQ(fault_of(request_with({{"host", "A.example:443"}})), Fault::none);
}

TEST(Http2Message, ARequestGoesToAnHttp1Server) {
  RequestMessage request;
  ASSERT_EQ(parse_http2_request(request_with({{"cookie", "a=1"}, {"te", "trailers"}, {"cookie", "b=2"}}), request),
            Fault::none);
  const std::string head = encode_head(as_http1(request, true));
  EXPECT_EQ(head,
            "GET /x?q HTTP/1.1\r\nhost: a.example\r\ncookie: a=1; b=2\r\nte: trailers\r\nconnection: TE\r\n"
            "transfer-encoding: chunked\r\n\r\n");
  RequestReader reader(Scheme::https);
  reader.feed(bytes_of_text(head));
  EXPECT_EQ(reader.state(), HeadReader::State::complete) << to_string(reader.fault());
}

TEST(Http2Message, AnHttp1RequestBecomesFields) {
  RequestReader reader(Scheme::https);
  reader.feed(
      bytes_of_text("POST https://a.example?q HTTP/1.1\r\nHost: A.example\r\nX-Key: V\r\nTE: gzip, trailers\r\n"
                    "Connection: TE, X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n"));
  ASSERT_EQ(reader.state(), HeadReader::State::complete) << to_string(reader.fault());
  const HeaderList fields = http2_fields(reader.message());
  EXPECT_EQ(fields, (HeaderList{{":method", "POST"},
                                {":scheme", "https"},
                                {":authority", "A.example"},
                                {":path", "/?q"},
                                {"x-key", "V"},
                                {"te", "trailers"}}));
  EXPECT_TRUE(is_sendable(fields));
}

TEST(Http2Message, WebSocketGoesBothWays) {
  RequestReader reader(Scheme::https);
  reader.feed(
      bytes_of_text("GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n"));
  ASSERT_EQ(reader.state(), HeadReader::State::complete);
  const HeaderList fields = http2_fields(reader.message());
  EXPECT_EQ(fields, (HeaderList{{":method", "CONNECT"},
                                {":protocol", "websocket"},
                                {":scheme", "https"},
                                {":authority", "a.example"},
                                {":path", "/chat"},
                                {"sec-websocket-version", "13"}}));
  RequestMessage request;
  ASSERT_EQ(parse_http2_request(fields, request), Fault::none);
  EXPECT_EQ(encode_head(as_http1(request, true, "n")),
            "GET /chat HTTP/1.1\r\nhost: a.example\r\nsec-websocket-version: 13\r\nconnection: Upgrade\r\n"
            "upgrade: websocket\r\nsec-websocket-key: n\r\n\r\n");
  request.headers.push_back({"content-length", "9"});
  EXPECT_EQ(find_header(as_http1(request, true, "n").headers, "content-length"), nullptr);
  const ResponseMessage yes{
      101, "", Version::http_1_1, {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", "x"}}};
  EXPECT_EQ(http2_fields(yes), (HeaderList{{":status", "200"}}));
}

TEST(Http2Message, APostWithoutABodySaysSo) {
  RequestMessage request;
  ASSERT_EQ(parse_http2_request(request_with({}), request), Fault::none);
  EXPECT_EQ(find_header(as_http1(request, false).headers, "content-length"), nullptr);
  request.method = "POST";
  EXPECT_EQ(header_value(as_http1(request, false).headers, "content-length"), "0");
  EXPECT_EQ(find_header(as_http1(request, true).headers, "content-length"), nullptr);
}

// A request of HTTP/1.0 may name nobody, and who translates it invents no name.
TEST(Http2Message, NamesNobodyWhereTheRequestDoesNot) {
  RequestMessage request;
  request.method = "GET";
  request.target = request.path = "/a";
  request.version = Version::http_1_0;
  EXPECT_EQ(http2_fields(request), (HeaderList{{":method", "GET"}, {":scheme", "http"}, {":path", "/a"}}));
}

TEST(Http2Message, ResponsesGoBothWays) {
  ResponseMessage response;
  ASSERT_EQ(parse_http2_response({{":status", "404"}, {"a", "b"}}, response), Fault::none);
  RequestMessage request;
  EXPECT_EQ(encode_head(as_http1(response, request, true)),
            "HTTP/1.1 404 Not Found\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(encode_head(as_http1(response, request, false)),
            "HTTP/1.1 404 Not Found\r\na: b\r\ncontent-length: 0\r\n\r\n");
  request.method = "HEAD";
  EXPECT_EQ(encode_head(as_http1(response, request, false)), "HTTP/1.1 404 Not Found\r\na: b\r\n\r\n");
  request.version = Version::http_1_0;
  request.method = "GET";
  EXPECT_EQ(as_http1(response, request, true).headers.back(), (Header{"connection", "close"}));
  for (const char* status : {"101", "20", "099", "2000", "2x0"}) {
    EXPECT_EQ(parse_http2_response({{":status", status}}, response), Fault::bad_pseudo_header) << status;
  }
  for (const char* length : {"05", "00", "+5", "5, 5", ""}) {
    EXPECT_EQ(parse_http2_response({{":status", "200"}, {"content-length", length}}, response), Fault::bad_length);
  }
  ResponseMessage http1{200, "OK", Version::http_1_1, {{"Connection", "X"}, {"X", "1"}, {"Y", "2"}}};
  EXPECT_EQ(http2_fields(http1), (HeaderList{{":status", "200"}, {"y", "2"}}));
}

}  // namespace
}  // namespace microagent::http
