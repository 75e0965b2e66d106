#include "wire/agent.h"

#include <gtest/gtest.h>

namespace microagent::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes header_only(std::uint8_t type, std::uint32_t length, std::uint8_t reserved = 0) {
  FrameHeader header;
  header.type = static_cast<FrameType>(type);
  header.reserved[1] = reserved;
  header.length = length;
  const ByteView bytes = bytes_of(header);
  return {bytes.begin(), bytes.end()};
}

ExecRequest sample_request() {
  ExecRequest request;
  request.argv = {"sh", "-c", "", "echo \"$A\"\n"};
  request.env = {"A=b=c", "EMPTY="};
  request.workdir = "/srv/data";
  request.user = "web:1002";
  request.terminal = true;
  request.rows = 50;
  request.columns = 0x1234;
  return request;
}

TEST(Frames, LieOnTheWireAsDescribed) {
  EXPECT_EQ(encode_frame(FrameType::output, std::string_view("hi")), (Bytes{23, 0, 0, 0, 2, 0, 0, 0, 'h', 'i'}));
}

TEST(Frames, ComeOutHoweverTheyArrive) {
  Bytes stream = encode_frame(FrameType::output, std::string_view("first"));
  const Bytes second = encode_frame(FrameType::input_end, ByteView());
  stream.insert(stream.end(), second.begin(), second.end());
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    FrameReader reader;
    std::vector<FrameReader::Frame> frames;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.feed(ByteView(stream).subspan(at, std::min(step, stream.size() - at)));
      while (auto frame = reader.next()) frames.push_back(std::move(*frame));
    }
    ASSERT_EQ(frames.size(), 2U) << step;
    EXPECT_EQ(frames[0].payload, (Bytes{'f', 'i', 'r', 's', 't'}));
    EXPECT_EQ(frames[1].type, FrameType::input_end);
    EXPECT_FALSE(reader.broken());
  }
}

TEST(Frames, AreNotTakenBeforeTheyAreWhole) {
  const Bytes frame = encode_frame(FrameType::ready, std::string_view("ip=192.0.2.1/24\n"));
  for (std::size_t length = 0; length < frame.size(); ++length) {
    FrameReader reader;
    reader.feed(ByteView(frame).first(length));
    EXPECT_FALSE(reader.next()) << length;
    EXPECT_FALSE(reader.broken()) << length;
  }
}

TEST(Frames, HaveALimit) {
  FrameReader reader;
  reader.feed(encode_frame(FrameType::output, ByteView(Bytes(kMaxFrame))));
  ASSERT_TRUE(reader.next());
  reader.feed(header_only(23, kMaxFrame + 1));
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.broken());
}

TEST(Frames, StayBrokenAfterARefusal) {
  for (const Bytes& bad : {header_only(0, 0), header_only(32, 0), header_only(255, 0), header_only(23, 0, 1)}) {
    FrameReader reader;
    reader.feed(bad);
    EXPECT_FALSE(reader.next());
    reader.feed(encode_frame(FrameType::output, std::string_view("good")));
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.broken());
  }
}

TEST(Exec, SurvivesTheRoundTrip) {
  const ExecRequest request = sample_request();
  const auto parsed = parse_exec(encode_exec(request).value());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->argv, request.argv);
  EXPECT_EQ(parsed->env, request.env);
  EXPECT_EQ(parsed->workdir, request.workdir);
  EXPECT_EQ(parsed->user, request.user);
  EXPECT_TRUE(parsed->terminal);
  EXPECT_EQ(parsed->rows, request.rows);
  EXPECT_EQ(parsed->columns, request.columns);
}

TEST(Exec, IsRefusedWhenCutAnywhereOrFollowedByMore) {
  ExecRequest request = sample_request();
  Bytes payload = encode_exec(request).value();
  request.user.clear();
  const std::size_t without_user = encode_exec(request).value().size();
  for (std::size_t length = 0; length < payload.size(); ++length) {
    EXPECT_EQ(parse_exec(ByteView(payload).first(length)).has_value(), length == without_user) << length;
  }
  payload.push_back(0);
  EXPECT_FALSE(parse_exec(payload));
}

// Guests and hosts from before there was a user understand what needs none.
TEST(Exec, HasItsUserOnlyWhereThereIsOne) {
  ExecRequest request;
  request.argv = {"ls"};
  request.workdir = "/";
  const Bytes old_form{0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 'l', 's', 0, 0, 0, 0, 1, 0, 0, 0, '/'};
  EXPECT_EQ(encode_exec(request).value(), old_form);
  const auto parsed = parse_exec(old_form);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->user, "");
  Bytes said_twice = old_form;
  said_twice.insert(said_twice.end(), {0, 0, 0, 0});
  EXPECT_FALSE(parse_exec(said_twice));
}

TEST(Exec, FitsIntoOneFrameOrNotAtAll) {
  ExecRequest request;
  request.argv = {""};
  const std::size_t overhead = encode_exec(request).value().size();
  request.argv[0].resize(kMaxFrame - overhead, 'x');
  ASSERT_TRUE(encode_exec(request));
  EXPECT_EQ(parse_exec(*encode_exec(request))->argv, request.argv);
  request.argv[0].push_back('x');
  EXPECT_FALSE(encode_exec(request));
}

TEST(Exec, RefusesWhatExecveCannotTake) {
  ExecRequest request = sample_request();
  request.argv[0].push_back('\0');
  EXPECT_FALSE(parse_exec(encode_exec(request).value()));
  for (const char* variable : {"NAME", "=value", ""}) {
    request = sample_request();
    request.env.emplace_back(variable);
    EXPECT_FALSE(parse_exec(encode_exec(request).value())) << variable;
  }
}

TEST(Exec, RefusesLyingCountsAndUnknownFlags) {
  Bytes payload = encode_exec(sample_request()).value();
  payload[4] = 2;
  EXPECT_FALSE(parse_exec(payload));
  payload[4] = 1;
  ASSERT_TRUE(parse_exec(payload));
  payload[8] = 0xff;  // the top byte of argv's count
  EXPECT_FALSE(parse_exec(payload));
  const Bytes nothing_to_run{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(parse_exec(nothing_to_run));
}

TEST(Copy, SurvivesTheRoundTrip) {
  for (const auto& [owner, follow] : {std::pair{false, true}, {true, false}, {true, true}}) {
    const auto parsed = parse_copy(encode_copy({"/srv/a b", owner, follow}).value());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->path, "/srv/a b");
    EXPECT_EQ(parsed->keep_owner, owner);
    EXPECT_EQ(parsed->follow, follow);
  }
}

TEST(Copy, WantsAnAbsolutePathAndKnownFlags) {
  EXPECT_FALSE(parse_copy(ByteView()));
  EXPECT_FALSE(parse_copy(Bytes{0}));
  EXPECT_FALSE(parse_copy(Bytes{0, 'a'}));
  EXPECT_FALSE(parse_copy(Bytes{4, '/'}));
  EXPECT_FALSE(parse_copy(Bytes{0, '/', 'a', 0}));
  EXPECT_TRUE(parse_copy(Bytes{0, '/'}));
}

TEST(Copy, FitsIntoOneFrameOrNotAtAll) {
  EXPECT_EQ(encode_copy({std::string(kMaxFrame - 1, '/')}).value().size(), kMaxFrame);
  EXPECT_FALSE(encode_copy({std::string(kMaxFrame, '/')}));
}

constexpr const char* kPem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

TEST(Trust, SurvivesTheRoundTrip) {
  for (const Trust& trust : {Trust{kPem, "0123abcd"}, Trust{}}) {
    const Bytes payload = encode_trust(trust);
    EXPECT_EQ(parse_trust(payload), trust);
    Bytes longer = payload;
    longer.push_back(0);
    EXPECT_FALSE(parse_trust(longer));
    for (std::size_t size = 0; size < payload.size(); ++size) EXPECT_FALSE(parse_trust(ByteView(payload).first(size)));
  }
}

TEST(Trust, IsACertificateAndAHash) {
  for (const Trust& bad : {Trust{kPem, ""}, Trust{kPem, "0123ABCD"}, Trust{kPem, "../../x."}, Trust{"", "0123abcd"},
                           Trust{"hello\n", "0123abcd"}, Trust{std::string(kPem) + "x", "0123abcd"}}) {
    EXPECT_FALSE(parse_trust(encode_trust(bad))) << bad.certificate << bad.subject_hash;
  }
  const std::string_view begin = "-----BEGIN CERTIFICATE-----\n", end = "-----END CERTIFICATE-----\n";
  const std::size_t room = kMaxCertificate - begin.size() - end.size();
  const std::string longest = std::string(begin) + std::string(room, 'A') + std::string(end);
  Bytes payload = encode_trust({longest, "0123abcd"});
  EXPECT_TRUE(parse_trust(payload));
  // One byte more, told as it would be.
  payload.insert(payload.begin() + 4 + static_cast<std::ptrdiff_t>(begin.size()), 'A');
  const le32 size(static_cast<std::uint32_t>(kMaxCertificate + 1));
  std::copy_n(bytes_of(size).begin(), 4, payload.begin());
  EXPECT_FALSE(parse_trust(payload));
}

TEST(FixedPayloads, AreExactlyTheirSize) {
  const Bytes four{1, 2, 0, 0};
  EXPECT_EQ(parse_number(four), 0x201U);
  EXPECT_EQ(parse_terminal_size(four)->rows, 0x201U);
  const Bytes eight{3, 0, 0, 0, 9, 0, 0, 0};
  EXPECT_EQ(parse_exit_status(eight)->code, 3U);
  EXPECT_EQ(parse_exit_status(eight)->signal, 9U);
  for (const std::size_t length : {0U, 3U, 5U, 7U}) {
    EXPECT_FALSE(parse_number(ByteView(eight).first(length)));
    EXPECT_FALSE(parse_terminal_size(ByteView(eight).first(length)));
    EXPECT_FALSE(parse_exit_status(ByteView(eight).first(length)));
  }
  EXPECT_FALSE(parse_number(eight));
  EXPECT_FALSE(parse_exit_status(Bytes(9)));
}

}  // namespace
}  // namespace microagent::wire
