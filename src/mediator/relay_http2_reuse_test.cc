// An upstream's connection of HTTP/2 that outlives its guest: how a relay leaves it, and how the next one begins with
// it.

#include "mediator/test_http2_relay.h"
#include "mediator/upstream_trial.h"

namespace microagent::mediator {
namespace {

class Http2ReuseTest : public Http2RelayTest {
 protected:
  Http2ReuseTest() { keeps_upstream_ = true; }
  ~Http2ReuseTest() override { gate_.replacement.reset(); }

  void first_flow() {
    const StreamId asked = ask(request("/first"));
    answer(server_);
    ASSERT_TRUE(until([&] { return client_.seen[asked].closed && !server_.session.wants_write(); }));
    end_guest(guest_);
    begin_next();
  }
  void end_guest(Fd& guest) {
    guest.reset();
    ASSERT_TRUE(is_done());
    ASSERT_TRUE(gate_.clean && gate_.session);
  }
  void begin_next() {
    next_guest_ = start_again(relay_http2);
    next_.emplace(Http2Session::Role::client, next_guest_);
  }
  // What takes the upstream's place, if it is asked to.
  void offer_another() {
    auto ends = socket_pair(SOCK_STREAM);
    other_ = std::move(ends.first);
    gate_.replacement = plain_stream(std::move(*watch(loop_.io.get_executor(), std::move(ends.second))));
    another_.emplace(Http2Session::Role::server, other_, true);
  }

  bool until_next(const std::function<bool()>& done) {
    return loop_.until([&] {
      if (server_turns_) server_.turn();
      if (another_) another_->turn();
      next_->turn();
      return done();
    });
  }
  StreamId ask_next(const HeaderList& fields, bool end = true) {
    const auto stream = next_->session.submit_request(fields, end);
    EXPECT_TRUE(stream);
    return stream.value_or(0);
  }
  // The upstream gets so many more requests, and answers them.
  void answer(Peer& server, std::size_t count = 1) {
    const StreamId before = server.last;
    const auto are_asked = [&] { return server.last >= before + 2 * static_cast<int>(count) - (before == 0 ? 1 : 0); };
    ASSERT_TRUE(next_ ? until_next(are_asked) : until(are_asked));
    for (auto at = server.seen.upper_bound(before); at != server.seen.end(); ++at) {
      ASSERT_TRUE(server.session.submit_response(at->first, {{":status", "200"}}, true));
    }
  }
  std::string next_status(StreamId stream) {
    EXPECT_TRUE(until_next([&] { return next_->seen[stream].closed; }));
    return std::string(header_value(next_->seen[stream].fields, ":status"));
  }
  // Everything that was sent to the upstream is read, and nothing said to that.
  void read_in_silence() {
    server_turns_ = false;
    for (int turns = 0; turns < 20; ++turns) {
      next_->turn();
      loop_.io.restart();
      loop_.io.run_one_for(std::chrono::milliseconds(2));
      if (const auto some = arrived(upstream_)) server_.session.feed(*some, monotonic_ns());
    }
  }

  Fd next_guest_, other_;
  std::optional<Peer> next_, another_;
  bool server_turns_ = true;
};

TEST_F(Http2ReuseTest, GoesOnWhereTheLastFlowLeft) {
  first_flow();
  const StreamId post = ask_next(request("/a", "POST"), false);
  ASSERT_TRUE(next_->session.send_data(post, text_bytes("body"), true));
  answer(server_);
  EXPECT_EQ(next_status(post), "200");
  EXPECT_EQ(server_.last, 3);
  EXPECT_EQ(server_.seen[3].data, "body");
  EXPECT_EQ(gate_.replaced, 0);
  end_guest(next_guest_);
}

TEST_F(Http2ReuseTest, TellsTheGuestWhatTheUpstreamTakes) {
  first_flow();
  EXPECT_TRUE(until_next([&] { return next_->session.has_peer_settings(); }));
  EXPECT_TRUE(next_->session.peer_takes_connect_protocol());
}

// Nobody could tell whether a connection that breaks has taken it.
TEST_F(Http2ReuseTest, RisksNothingThatMustNotBeDoneTwice) {
  first_flow();
  offer_another();
  const StreamId get = ask_next(request("/get")), post = ask_next(request("/post", "POST"));
  read_in_silence();
  ASSERT_EQ(server_.last, 3);
  EXPECT_EQ(header_value(server_.seen[3].fields, ":path"), "/get");
  upstream_.reset();
  answer(*another_, 2);
  EXPECT_EQ(next_status(get), "200");
  EXPECT_EQ(next_status(post), "200");
  EXPECT_EQ(gate_.replaced, 1);
  ASSERT_TRUE(until_next([&] { return gate_.stories.size() == 3; }));
  EXPECT_EQ(gate_.stories[1].error, "");
  EXPECT_EQ(gate_.stories[2].error, "");
}

TEST_F(Http2ReuseTest, AsksAnotherWhereTheFirstGoesAwayMeanwhile) {
  first_flow();
  offer_another();
  server_.session.goaway(Http2Error::no_error);
  const StreamId remove = ask_next(request("/post", "POST")), get = ask_next(request("/get"));
  answer(*another_, 2);
  EXPECT_EQ(next_status(remove), "200");
  EXPECT_EQ(next_status(get), "200");
  EXPECT_EQ(server_.last, 1) << "it has looked at none of them";
}

TEST_F(Http2ReuseTest, AsksAnotherWhereTheFirstIsSilent) {
  first_flow();
  offer_another();
  const StreamId post = ask_next(request("/post", "POST"));
  const auto began = std::chrono::steady_clock::now();
  read_in_silence();
  answer(*another_);
  EXPECT_EQ(next_status(post), "200");
  EXPECT_GE(std::chrono::steady_clock::now() - began, UpstreamTrial::kAnswerTime - std::chrono::milliseconds(500));
}

TEST_F(Http2ReuseTest, RepeatsNothingThatMayHaveBeenDone) {
  first_flow();
  offer_another();
  const StreamId post = ask_next(request("/post", "POST"));
  ASSERT_TRUE(until_next([&] { return server_.last == 3; }));
  upstream_.reset();
  EXPECT_EQ(next_status(post), "502");
  EXPECT_EQ(another_->last, 0);
}

TEST_F(Http2ReuseTest, RepeatsNothingOnceAnAnswerHasBegun) {
  first_flow();
  offer_another();
  const StreamId get = ask_next(request("/get"));
  ASSERT_TRUE(until_next([&] { return server_.last == 3; }));
  ASSERT_TRUE(server_.session.submit_response(3, {{":status", "200"}}, false));
  ASSERT_TRUE(until_next([&] { return !next_->seen[get].fields.empty(); }));
  upstream_.reset();
  ASSERT_TRUE(until_next([&] { return next_->seen[get].closed; }));
  EXPECT_TRUE(next_->seen[get].reset);
  EXPECT_EQ(gate_.replaced, 0);
}

TEST_F(Http2ReuseTest, SaysThatThereIsNoOther) {
  first_flow();
  upstream_.reset();
  EXPECT_EQ(next_status(ask_next(request("/get"))), "502");
  EXPECT_EQ(gate_.replaced, 1);
}

TEST_F(Http2ReuseTest, SaysThatThereIsNoOtherThanOneThatGoesAway) {
  first_flow();
  server_.session.goaway(Http2Error::no_error);
  EXPECT_EQ(next_status(ask_next(request("/get"))), "502");
  EXPECT_EQ(next_->seen.begin()->second.data, "nobody is there\n");
}

// The old connection is gone by then, and the new one not there.
TEST_F(Http2ReuseTest, EndsWithAGuestThatDoesNotWaitForTheOther) {
  first_flow();
  gate_.waits_for_another = true;
  ask_next(request("/get"));
  upstream_.reset();
  ASSERT_TRUE(until_next([&] { return gate_.replaced == 1; }));
  next_guest_.reset();
  ASSERT_TRUE(is_done());
  ASSERT_EQ(gate_.stories.size(), 2u);
  EXPECT_EQ(gate_.stories[1].error, "the guest's connection ended");
}

// ---- an upstream that ends its connection while the guest has nothing to ask

class Http2RestTest : public Http2ReuseTest {
 protected:
  Http2RestTest() { gate_.can_replace = true; }

  // One request is answered, over the first connection.
  void ask_first() {
    const StreamId asked = ask(request("/first"));
    ASSERT_TRUE(until([&] { return server_.last == 1; }));
    ASSERT_TRUE(server_.session.submit_response(1, {{":status", "200"}}, true));
    ASSERT_TRUE(until([&] { return client_.seen[asked].closed && gate_.stories.size() == 1; }));
    offer_another();
  }
  // And the next over the other.
  void ask_another() {
    const StreamId asked = ask(request("/next", "POST"), false);
    ASSERT_TRUE(client_.session.send_data(asked, text_bytes("body"), true));
    answer_another(asked);
    EXPECT_EQ(another_->seen[1].data, "body");
  }
  void answer_another(StreamId asked) {
    ASSERT_TRUE(until_both([&] { return another_->last == 1 && another_->seen[1].ended; }));
    ASSERT_TRUE(another_->session.submit_response(1, {{":status", "200"}}, true));
    ASSERT_TRUE(until_both([&] { return client_.seen[asked].closed; }));
    EXPECT_EQ(status(asked), "200");
    EXPECT_FALSE(client_.told_to_go);
    EXPECT_EQ(gate_.replaced, 1);
  }
  bool until_both(const std::function<bool()>& done) {
    return until([&] {
      another_->turn();
      return done();
    });
  }
  void expect_parting() {
    EXPECT_TRUE(until([&] { return server_.gone; }));
    EXPECT_FALSE(relays_upstream_);
    EXPECT_EQ(gate_.replaced, 0) << "nobody wants another";
    EXPECT_FALSE(client_.told_to_go);
  }
};

TEST_F(Http2RestTest, OutlivesAnUpstreamThatGoesAway) {
  ask_first();
  server_.session.goaway(Http2Error::no_error);
  expect_parting();
  ask_another();
}

TEST_F(Http2RestTest, OutlivesAnUpstreamThatEndsWithoutAWord) {
  ask_first();
  upstream_.reset();
  EXPECT_TRUE(loop_.until([&] { return !relays_upstream_; }));
  ask_another();
}

TEST_F(Http2RestTest, OutlivesAnUpstreamThatWasNeverAsked) {
  offer_another();
  ASSERT_TRUE(until([&] { return server_.session.has_peer_settings(); }));
  server_.session.goaway(Http2Error::no_error);
  expect_parting();
  ask_another();
}

TEST_F(Http2RestTest, OutlivesOneUpstreamAfterTheOther) {
  ask_first();
  server_.session.goaway(Http2Error::no_error);
  expect_parting();
  ask_another();
  another_->session.goaway(Http2Error::no_error);
  ASSERT_TRUE(until_both([&] { return another_->gone; }));
  another_.reset();
  gate_.replaced = 0;
  offer_another();
  ask_another();
}

// The server's word and the guest's request meet on their way.
TEST_F(Http2RestTest, AsksAnotherWhatTheOldOneDidNotLookAt) {
  ask_first();
  server_.session.goaway(Http2Error::no_error);
  const StreamId asked = ask(request("/next"));
  answer_another(asked);
  EXPECT_EQ(server_.last, 1);
}

TEST_F(Http2RestTest, DeliversWhatTheGuestHasNotTakenYet) {
  client_.consumes = client_.reads = false;
  const std::string body(900 * 1024, 'x');
  const StreamId big = ask(request("/big"));
  const StreamId served = next_request();
  ASSERT_TRUE(server_.session.submit_response(served, {{":status", "200"}}, false));
  ASSERT_TRUE(server_.session.send_data(served, text_bytes(body), true));
  ASSERT_TRUE(until([&] { return server_.seen[served].closed && server_.has_sent(); }));
  server_.session.goaway(Http2Error::no_error);
  offer_another();
  expect_parting();
  client_.consumes = client_.reads = true;
  ask_another();
  ASSERT_TRUE(until_both([&] { return client_.seen[big].closed; }));
  EXPECT_EQ(client_.seen[big].data.size(), body.size());
  EXPECT_EQ(client_.seen[big].reset, std::nullopt);
}

// A server that turns everything away does not have us dial for ever.
TEST_F(Http2RestTest, DialsNoThirdForOneRequest) {
  ask_first();
  server_.session.goaway(Http2Error::no_error);
  expect_parting();
  const StreamId asked = ask(request("/next"));
  ASSERT_TRUE(until([&] { return gate_.replaced == 1; }));
  another_->session.goaway(Http2Error::no_error);
  ASSERT_TRUE(until_both([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(client_.seen[asked].reset, Http2Error::refused_stream);
  EXPECT_TRUE(client_.told_to_go);
  EXPECT_EQ(gate_.replaced, 1);
}

TEST_F(Http2RestTest, SaysThatThereIsNoOther) {
  ask_first();
  gate_.replacement.reset();
  server_.session.goaway(Http2Error::no_error);
  expect_parting();
  const StreamId asked = ask(request("/next"));
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed; }));
  EXPECT_EQ(status(asked), "502");
}

TEST_F(Http2RestTest, EndsWithAGuestThatAsksNothingMore) {
  ask_first();
  server_.session.goaway(Http2Error::no_error);
  expect_parting();
  guest_.reset();
  EXPECT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean || gate_.session);
}

// ---- what is not left to the next flow

TEST_F(Http2ReuseTest, LeavesNothingWithinARequest) {
  ask(request("/a"));
  next_request();
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean || gate_.session);
}

TEST_F(Http2ReuseTest, LeavesNothingThatGoesAway) {
  const StreamId asked = ask(request("/a"));
  answer(server_);
  server_.session.goaway(Http2Error::no_error);
  ASSERT_TRUE(until([&] { return client_.seen[asked].closed && client_.told_to_go; }));
  guest_.reset();
  ASSERT_TRUE(is_done());
  EXPECT_FALSE(gate_.clean || gate_.session);
}

}  // namespace
}  // namespace microagent::mediator
