#include <fmt/format.h>

#include <algorithm>

#include "http/test_http2.h"
#include "mediator/test_http2_relay.h"

namespace microagent::mediator {
namespace {

TEST_F(Http2RelayTest, CarriesARequestAndItsResponse) {
  const StreamId asked = ask(request("/a?b"));
  const StreamId served = next_request();
  EXPECT_EQ(texts(server_.seen[served].fields), texts(request("/a?b")));
  EXPECT_TRUE(server_.seen[served].ended);
  const HeaderList answer{{":status", "200"}, {"x-one", "1"}, {"content-type", "text/plain"}};
  ASSERT_TRUE(server_.session.submit_informational(served, {{":status", "103"}, {"link", "</a>"}}));
  ASSERT_TRUE(server_.session.submit_response(served, answer, false));
  ASSERT_TRUE(server_.session.send_data(served, text_bytes("hello"), false));
  ASSERT_TRUE(server_.session.send_trailers(served, {{"grpc-status", "0"}}));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(client_.seen[asked].informational.size(), 1u);
  EXPECT_EQ(client_.seen[asked].fields, answer);
  EXPECT_EQ(client_.seen[asked].data, "hello");
  EXPECT_EQ(client_.seen[asked].trailers, (HeaderList{{"grpc-status", "0"}}));
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].status, 200);
  EXPECT_EQ(gate_.stories[0].path, "/a");
  EXPECT_EQ(gate_.stories[0].bytes_in, 5u);
}

// No window holds heads back, and header compression makes many of one.
TEST_F(Http2RelayTest, BoundsTheHeadsOfRequestsThatAreUnderWay) {
  gate_.memory = 0;
  HeaderList fields = request("/");
  for (int index = 0; index < 5; ++index) fields.push_back({"x-same", std::string(4'000, 'x')});
  const StreamId first = ask(fields);
  const StreamId served = next_request();
  const StreamId second = ask(fields);
  ASSERT_TRUE(until([&] { return client_.seen[second].closed; }));
  EXPECT_EQ(status(second), "503");
  EXPECT_EQ(server_.last, served);
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "204"}}, true));
  ASSERT_TRUE(until([&] { return client_.seen[first].closed && gate_.stories.size() == 1; }));
  EXPECT_EQ(status(first), "204");
  ask(fields);
  EXPECT_GT(next_request(served), served);
}

TEST_F(Http2RelayTest, BoundsTheHeadsOfResponses) {
  gate_.memory = 0;
  const StreamId asked = ask(request("/"));
  const StreamId served = next_request();
  HeaderList fields{{":status", "200"}};
  for (int index = 0; index < 16; ++index) fields.push_back({"x-same", std::string(4'000, 'x')});
  ASSERT_TRUE(server_.session.submit_response(served, fields, true));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "503");
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].status, 503);
}

TEST_F(Http2RelayTest, StreamsBothWaysAtOnce) {
  const StreamId asked = ask(request("/pkg.Service/Chat", "POST"), false);
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  for (int turn = 1; turn <= 5; ++turn) {
    ASSERT_TRUE(client_.session.send_data(asked, text_bytes("ping"), false));
    ASSERT_TRUE(until([&] { return server_.seen[served].data.size() == 4u * static_cast<unsigned>(turn); }));
    ASSERT_TRUE(server_.session.send_data(served, text_bytes("pong"), false));
    ASSERT_TRUE(until([&] { return client_.seen[asked].data.size() == 4u * static_cast<unsigned>(turn); }));
  }
  ASSERT_TRUE(client_.session.send_data(asked, {}, true));
  ASSERT_TRUE(until([&] { return server_.seen[served].ended; }));
  ASSERT_TRUE(server_.session.send_data(served, {}, true));
  EXPECT_TRUE(until([&] { return client_.seen[asked].closed && server_.seen[served].closed; }));
}

TEST_F(Http2RelayTest, CarriesManyStreamsAtOnce) {
  std::vector<StreamId> asked;
  for (int index = 0; index < 60; ++index) asked.push_back(ask(request(fmt::format("/{}", index))));
  std::map<StreamId, bool> answered;
  ASSERT_TRUE(until([&] {
    for (auto& [stream, seen] : server_.seen) {
      if (std::exchange(answered[stream], true)) continue;
      const std::string path(header_value(seen.fields, ":path"));
      EXPECT_TRUE(server_.session.submit_response(stream, {{":status", "200"}}, false));
      EXPECT_TRUE(server_.session.send_data(stream, text_bytes(path), true));
    }
    return std::ranges::all_of(asked, [&](StreamId stream) { return client_.seen[stream].closed; });
  }));
  for (int index = 0; index < 60; ++index) {
    EXPECT_EQ(client_.seen[asked[static_cast<std::size_t>(index)]].data, fmt::format("/{}", index));
  }
}

TEST_F(Http2RelayTest, StopsTheUpstreamWhereTheGuestDoesNotRead) {
  client_.consumes = false;
  const StreamId asked = ask(request("/big"));
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  const std::string piece(64 * 1024, 'x');
  std::size_t given = 0;
  constexpr std::size_t kAll = 8 * 1024 * 1024;
  std::size_t quiet = 0, seen_before = 0;
  // Nothing moves any more long before all is sent.
  ASSERT_TRUE(until([&] {
    if (given < kAll && server_.session.queued(served) < piece.size()) {
      EXPECT_TRUE(server_.session.send_data(served, text_bytes(piece), false));
      given += piece.size();
    }
    const std::size_t now = client_.seen[asked].data.size() + given;
    quiet = now == seen_before ? quiet + 1 : 0;
    seen_before = now;
    return quiet > 50;
  }));
  EXPECT_LT(given, kAll);
  // Another stream is not held up by this one.
  const StreamId other = ask(request("/small"));
  const StreamId served_other = next_request(served);
  ASSERT_TRUE(server_.session.submit_response(served_other, {{":status", "204"}}, true));
  EXPECT_TRUE(until([&] { return status(other) == "204"; }));
  client_.consumes = true;
  client_.session.consume(asked, client_.seen[asked].data.size());
  ASSERT_TRUE(until([&] {
    if (given < kAll && server_.session.queued(served) < piece.size()) {
      given += piece.size();
      EXPECT_TRUE(server_.session.send_data(served, text_bytes(piece), given == kAll));
    }
    return client_.seen[asked].closed;
  }));
  EXPECT_EQ(client_.seen[asked].data.size(), kAll);
}

TEST_F(Http2RelayTest, CarriesResetsBothWays) {
  const StreamId first = ask(request("/one", "POST"), false);
  const StreamId served = next_request();
  client_.session.reset(first, Http2Error::cancel);
  ASSERT_TRUE(until([&] { return server_.seen[served].reset.has_value(); }));
  EXPECT_EQ(*server_.seen[served].reset, Http2Error::cancel);
  const StreamId second = ask(request("/two", "POST"), false);
  const StreamId served_second = next_request(served);
  server_.session.reset(served_second, Http2Error::refused_stream);
  ASSERT_TRUE(until([&] { return client_.seen[second].reset.has_value(); }));
  EXPECT_EQ(*client_.seen[second].reset, Http2Error::refused_stream);
  EXPECT_TRUE(until([&] { return gate_.stories.size() == 2; }));
}

TEST_F(Http2RelayTest, RefusesOneRequestAndCarriesTheOthers) {
  const StreamId refused = ask(request("/refused"));
  const StreamId carried = ask(request("/other"));
  const StreamId served = next_request();
  EXPECT_EQ(header_value(server_.seen[served].fields, ":path"), "/other");
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "204"}}, true));
  ASSERT_TRUE(until([&] { return client_.seen[refused].closed && client_.seen[carried].closed; }));
  EXPECT_EQ(status(refused), "403");
  EXPECT_EQ(client_.seen[refused].data, "no\n");
  EXPECT_EQ(status(carried), "204");
  EXPECT_EQ(server_.seen.size(), 1u);
}

TEST_F(Http2RelayTest, RefusesGrpcInItsOwnWords) {
  HeaderList fields = request("/refused", "POST");
  fields.push_back({"content-type", "application/grpc"});
  const StreamId asked = ask(fields, false);
  ASSERT_TRUE(until([&] { return client_.seen[asked].ended; }));
  EXPECT_EQ(status(asked), "200");
  EXPECT_EQ(header_value(client_.seen[asked].fields, "grpc-status"), "7");
}

TEST_F(Http2RelayTest, OffersExtendedConnectWhereTheUpstreamDoes) {
  ASSERT_TRUE(until([&] { return client_.session.peer_takes_connect_protocol(); }));
  HeaderList fields{{":method", "CONNECT"},      {":protocol", "websocket"}, {":scheme", "https"},
                    {":authority", "a.example"}, {":path", "/chat"},         {"sec-websocket-version", "13"}};
  const StreamId asked = ask(fields, false);
  const StreamId served = next_request();
  EXPECT_EQ(header_value(server_.seen[served].fields, ":protocol"), "websocket");
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(client_.session.send_data(asked, text_bytes("frame"), false));
  EXPECT_TRUE(until([&] { return server_.seen[served].data == "frame"; }));
}

TEST_F(Http2RelayTest, TellsTheGuestThatTheUpstreamIsGone) {
  const StreamId asked = ask(request("/one"));
  next_request();
  upstream_.reset();
  ASSERT_TRUE(until([&] { return client_.seen[asked].ended; }));
  EXPECT_EQ(status(asked), "502");
  EXPECT_TRUE(until([&] { return client_.told_to_go && client_.gone; }));
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.size(), 1u);
}

TEST_F(Http2RelayTest, EndsTheUpstreamWithTheGuest) {
  const StreamId asked = ask(request("/one"));
  next_request();
  EXPECT_GT(asked, 0);
  guest_.reset();
  EXPECT_TRUE(until([&] { return server_.gone; }));
  EXPECT_TRUE(is_done());
  // Nobody blames the upstream.
  EXPECT_TRUE(gate_.failures.empty());
  ASSERT_EQ(gate_.stories.size(), 1u);
  EXPECT_EQ(gate_.stories[0].status, 0);
  EXPECT_EQ(gate_.stories[0].error, "the guest's connection ended");
}

TEST_F(Http2RelayTest, RecordsAGuestThatBreaksTheProtocol) {
  ask(request("/one"));
  next_request();
  put(guest_, http::frame(NGHTTP2_DATA, 0, 0, {1, 2, 3}));
  EXPECT_TRUE(until([&] { return client_.told_to_go && client_.gone; }));
  EXPECT_TRUE(is_done());
  EXPECT_EQ(gate_.faults, std::vector<std::string>{"an HTTP/2 protocol error"});
}

// Servers end connections as soon as their last answer is out, whether or not the client has read it by then.
TEST_F(Http2RelayTest, DeliversWholeResponsesOfAnUpstreamThatIsGone) { deliver_after_the_end(false); }
TEST_F(Http2RelayTest, DeliversWholeResponsesOfAnUpstreamThatSaidItGoes) { deliver_after_the_end(true); }

// Half an answer must not look like a whole one.
TEST_F(Http2RelayTest, ResetsWhatAnUpstreamThatIsGoneDidNotFinish) {
  const StreamId asked = ask(request("/big"));
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(server_.session.send_data(served, text_bytes("half"), false));
  ASSERT_TRUE(until([&] { return client_.seen[asked].data == "half"; }));
  upstream_.reset();
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(client_.seen[asked].reset, Http2Error::internal_error);
  EXPECT_TRUE(is_done());
}

// RFC 9113, 8.1; gRPC servers end calls so whose client still has something to say.
// A guest that takes nothing of what is left is not waited for, and one that reads is never hurried.
TEST_F(Http2RelayTest, HoldsNoAnswerForAGuestThatNeverReads) {
  gate_.waits = std::chrono::milliseconds(50);
  client_.consumes = client_.reads = false;
  ask(request("/big"));
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(server_.session.send_data(served, text_bytes(std::string(900 * 1024, 'x')), true));
  ASSERT_TRUE(until([&] { return server_.seen[served].closed && server_.has_sent(); }));
  upstream_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_EQ(gate_.stories.at(0).error, "the guest did not take the answer");
}

TEST_F(Http2RelayTest, DeliversAnAnswerBeforeItsRequestIsStopped) {
  const StreamId asked = ask(request("/pkg.Service/Put", "POST"), false);
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(server_.session.send_data(served, text_bytes("enough"), false));
  ASSERT_TRUE(server_.session.send_trailers(served, {{"grpc-status", "8"}}));
  server_.turn();  // all of it lies in the relay's socket, with the reset behind it
  server_.session.reset(served, Http2Error::no_error);
  server_.turn();
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "200");
  EXPECT_EQ(client_.seen[asked].data, "enough");
  EXPECT_EQ(client_.seen[asked].trailers, (HeaderList{{"grpc-status", "8"}}));
  EXPECT_EQ(client_.seen[asked].reset, Http2Error::no_error);
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].error, "");
}

// Servers that put trailers among the headers would act on them.
TEST_F(Http2RelayTest, CarriesNoTrailersThatBelongInTheHead) {
  const StreamId asked = ask(request("/put", "POST"), false);
  const StreamId served = next_request();
  ASSERT_TRUE(client_.session.send_trailers(asked, {{"authorization", "Basic eDp5"}}));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed && server_.seen[served].closed; }));
  EXPECT_EQ(client_.seen[asked].reset, Http2Error::protocol_error);
  EXPECT_FALSE(server_.seen[served].ended);
  EXPECT_EQ(gate_.faults.size(), 1u);
  ASSERT_TRUE(until([&] { return gate_.stories.size() == 1; }));
  EXPECT_EQ(gate_.stories[0].error, gate_.faults[0]);
}

TEST_F(Http2RelayTest, StopsARequestThatItRefused) {
  const StreamId asked = ask(request("/refused", "POST"), false);
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(client_.seen[asked].data, "no\n");
  EXPECT_TRUE(client_.seen[asked].ended);
  EXPECT_EQ(client_.seen[asked].reset, Http2Error::no_error);
}

TEST_F(Http2RelayTest, LetsTheGuestTryElsewhereWhatAGoingUpstreamDidNotTake) {
  const StreamId first = ask(request("/one"));
  const StreamId served = next_request();
  server_.session.goaway(Http2Error::no_error);
  ASSERT_TRUE(until([&] { return client_.told_to_go; }));
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "204"}}, true));
  ASSERT_TRUE(until([&] { return client_.seen[first].closed; }));
  EXPECT_EQ(status(first), "204");
  EXPECT_TRUE(until([&] { return client_.gone; }));
}

// Streams of a guest that does not read and then resets them, whether the upstream's answers are whole or not: more
// than a connection's window in all, so that what was dropped must have been given back.
TEST_F(Http2RelayTest, GivesBackTheWindowOfStreamsThatWereReset) {
  client_.consumes = false;
  const std::string piece(900 * 1024, 'x');
  StreamId served = 0;
  for (unsigned round = 0; round < 32; ++round) {
    const bool whole = round % 2 == 0;
    const StreamId asked = ask(request("/big"));
    served = next_request(served);
    client_.reads = false;
    ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
    ASSERT_TRUE(server_.session.send_data(served, text_bytes(piece), whole));
    ASSERT_TRUE(until([&] { return server_.session.queued(served) == 0 && server_.has_sent(); })) << round;
    client_.session.reset(asked, Http2Error::cancel);
    ASSERT_TRUE(until([&] { return gate_.stories.size() == round + 1; })) << round;
    client_.reads = true;
  }
}

// No window holds responses back that come before the final one.
TEST_F(Http2RelayTest, DoesNotPileUpInterimResponses) {
  const StreamId asked = ask(request("/hints"));
  const StreamId served = next_request();
  client_.reads = false;
  const HeaderList hint{{":status", "103"}, {"x-hint", std::string(16 * 1024, 'h')}};
  constexpr int kHints = 400;
  for (int count = 0; count < kHints; ++count) {
    ASSERT_TRUE(server_.session.submit_informational(served, hint));
    ASSERT_TRUE(until([&] { return server_.has_sent(); }));
  }
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "204"}}, true));
  ASSERT_TRUE(until([&] { return server_.seen[served].closed; }));
  client_.reads = true;
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "204");
  EXPECT_GE(client_.seen[asked].informational.size(), 1u);
  EXPECT_LT(client_.seen[asked].informational.size(), 200u);
}

}  // namespace
}  // namespace microagent::mediator
