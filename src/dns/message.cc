#include "dns/message.h"

#include <algorithm>

#include "base/check.h"
#include "dns/names.h"

namespace microagent::dns {
namespace {

// RFC 1035, 4.1.1.
struct Header {
  be16 id;
  be16 flags;
  be16 questions;
  be16 answers;
  be16 authorities;
  be16 additionals;
};
static_assert(sizeof(Header) == 12 && alignof(Header) == 1);

constexpr std::uint16_t kAnswerBit = 0x8000;
constexpr std::uint16_t kOpcodeMask = 0x7800;
constexpr std::uint16_t kTruncatedBit = 0x0200;
constexpr std::uint16_t kRecursionDesiredBit = 0x0100;
constexpr std::uint16_t kRecursionAvailableBit = 0x0080;
constexpr std::uint16_t kRcodeMask = 0x000f;

constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kTypeOpt = 41;    // RFC 6891
constexpr std::uint16_t kTypeIxfr = 251;  // RFC 1995
constexpr std::uint16_t kTypeAxfr = 252;  // RFC 5936

struct QuestionTail {
  be16 type;
  be16 klass;
};

// What follows a record's name (RFC 1035, 4.1.3).
struct RecordHead {
  be16 type;
  be16 klass;  // for OPT: the sender's UDP size
  be32 ttl;
  be16 length;
};
static_assert(sizeof(RecordHead) == 10);

// An uncompressed name, which is how a question's must stand: there is nothing before it to point to.
bool read_name(Reader& reader, Bytes& name) {
  const ByteView start = reader.rest();
  std::uint8_t length = 0;
  do {
    if (!reader.read(length) || length > 63 || !reader.skip(length)) return false;
  } while (length != 0);
  const std::size_t size = start.size() - reader.left();
  if (size > kMaxName) return false;
  name.assign(start.begin(), start.begin() + static_cast<std::ptrdiff_t>(size));
  return true;
}

// A record's name, which may end in a compression pointer. Pointers are not followed: nobody here reads the name.
bool skip_name(Reader& reader) {
  for (std::uint8_t length = 0; reader.read(length);) {
    if (length == 0) return true;
    if ((length & 0xc0) == 0xc0) return reader.skip(1);
    if (length > 63 || !reader.skip(length)) return false;
  }
  return false;
}

// A whole message, walked to its last byte.
struct Outline {
  Header header;
  Question question;
  std::uint16_t klass = 0;
  std::size_t question_end = 0;
  std::optional<std::uint16_t> udp_size;
};

bool walk_records(Reader& reader, std::size_t count, Outline& outline) {
  for (std::size_t i = 0; i < count; ++i) {
    RecordHead head;
    if (!skip_name(reader) || !reader.read(head) || !reader.skip(head.length)) return false;
    if (head.type == kTypeOpt) outline.udp_size = head.klass;
  }
  return true;
}

std::optional<Outline> outline_of(ByteView message) {
  Reader reader(message);
  Outline outline;
  QuestionTail tail;
  if (!reader.read(outline.header) || outline.header.questions != 1) return std::nullopt;
  if (!read_name(reader, outline.question.name) || !reader.read(tail)) return std::nullopt;
  outline.question.type = tail.type;
  outline.klass = tail.klass;
  outline.question_end = message.size() - reader.left();

  const std::size_t records =
      std::size_t{outline.header.answers} + outline.header.authorities + outline.header.additionals;
  if (!walk_records(reader, records, outline) || reader.left() != 0) return std::nullopt;
  return outline;
}

void store_header(Bytes& message, const Header& header) { std::ranges::copy(bytes_of(header), message.begin()); }

std::uint16_t answer_flags(std::uint16_t query_flags, Rcode rcode) {
  const auto kept = static_cast<std::uint16_t>(query_flags & (kOpcodeMask | kRecursionDesiredBit));
  return static_cast<std::uint16_t>(kAnswerBit | kRecursionAvailableBit | kept | static_cast<std::uint16_t>(rcode));
}

// A message cut behind its question, counts adjusted.
Bytes cut_to_question(ByteView message, std::uint16_t flags) {
  const auto outline = outline_of(message);
  MICROAGENT_CHECK(outline);
  Bytes cut(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(outline->question_end));
  store_header(cut, Header{outline->header.id, flags, 1, 0, 0, 0});
  return cut;
}

ParsedQuery fault(QueryFault why) { return {std::nullopt, why}; }

}  // namespace

ParsedQuery parse_query(ByteView message) {
  Header header;
  if (!Reader(message).read(header) || (header.flags & kAnswerBit) != 0) return fault(QueryFault::unanswerable);
  if ((header.flags & kOpcodeMask) != 0) return fault(QueryFault::not_implemented);
  auto outline = outline_of(message);
  if (!outline || header.answers != 0 || header.authorities != 0) return fault(QueryFault::malformed);
  const std::uint16_t type = outline->question.type;
  if (outline->klass != kClassIn || type == kTypeAxfr || type == kTypeIxfr) return fault(QueryFault::refused);

  const std::size_t udp_limit = std::clamp<std::size_t>(outline->udp_size.value_or(512), 512, kMaxDatagram);
  return {Query{Bytes(message.begin(), message.end()), header.id, std::move(outline->question), udp_limit}, {}};
}

std::optional<Bytes> encode_fault(ByteView message, QueryFault why) {
  Header header;
  if (why == QueryFault::unanswerable || !Reader(message).read(header)) return std::nullopt;
  Rcode rcode = Rcode::format_error;
  if (why == QueryFault::not_implemented) rcode = Rcode::not_implemented;
  if (why == QueryFault::refused) rcode = Rcode::refused;
  const Header answer{header.id, answer_flags(header.flags, rcode), 0, 0, 0, 0};
  return Bytes(bytes_of(answer).begin(), bytes_of(answer).end());
}

Bytes encode_answer(const Query& query, Rcode rcode) {
  Header header;
  MICROAGENT_CHECK(Reader(query.bytes).read(header));
  return cut_to_question(query.bytes, answer_flags(header.flags, rcode));
}

std::optional<Answer> parse_answer(ByteView message, std::uint16_t id, const Question& question) {
  const auto outline = outline_of(message);
  if (!outline || outline->header.id != id) return std::nullopt;
  const std::uint16_t flags = outline->header.flags;
  if ((flags & kAnswerBit) == 0 || (flags & kOpcodeMask) != 0 || outline->klass != kClassIn) return std::nullopt;
  if (outline->question.type != question.type || !same_name(outline->question.name, question.name)) return std::nullopt;
  return Answer{static_cast<Rcode>(flags & kRcodeMask), (flags & kTruncatedBit) != 0};
}

void set_id(Bytes& message, std::uint16_t id) {
  MICROAGENT_CHECK(message.size() >= sizeof(be16));
  std::ranges::copy(bytes_of(be16(id)), message.begin());
}

Bytes deliver(const Query& query, Bytes answer, bool over_udp) {
  set_id(answer, query.id);
  if (!over_udp || answer.size() <= query.udp_limit) return answer;
  Header header;
  MICROAGENT_CHECK(Reader(answer).read(header));
  return cut_to_question(answer, static_cast<std::uint16_t>(header.flags | kTruncatedBit));
}

}  // namespace microagent::dns
