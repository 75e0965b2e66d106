#include "dns/message.h"

#include <algorithm>
#include <cstddef>

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
constexpr std::uint16_t kAuthenticDataBit = 0x0020;
constexpr std::uint16_t kCheckingDisabledBit = 0x0010;
constexpr std::uint16_t kRcodeMask = 0x000f;

constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kTypeOpt = 41;              // RFC 6891
constexpr std::uint16_t kOptionExtendedError = 15;  // RFC 8914
constexpr std::uint32_t kDnssecOkBit = 0x8000;      // of OPT's time to live
constexpr std::uint32_t kBadVersion = 0x01000000;   // extended RCODE 1, above the header's 0: BADVERS
constexpr std::uint16_t kTypeIxfr = 251;            // RFC 1995
constexpr std::uint16_t kTypeAxfr = 252;            // RFC 5936

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
  std::optional<RecordHead> opt;
  std::vector<std::size_t> ttl_places;
};

bool walk_records(Reader& reader, std::size_t count, std::size_t size, Outline& outline) {
  for (std::size_t i = 0; i < count; ++i) {
    RecordHead head;
    if (!skip_name(reader)) return false;
    const std::size_t place = size - reader.left() + offsetof(RecordHead, ttl);
    if (!reader.read(head) || !reader.skip(head.length)) return false;
    if (head.type != kTypeOpt) {
      outline.ttl_places.push_back(place);
    } else {
      if (outline.opt) return false;  // RFC 6891, 6.1.1
      outline.opt = head;
    }
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
  if (!walk_records(reader, records, message.size(), outline) || reader.left() != 0) return std::nullopt;
  return outline;
}

std::uint16_t answer_flags(std::uint16_t query_flags, Rcode rcode) {
  const auto kept = static_cast<std::uint16_t>(query_flags & (kOpcodeMask | kRecursionDesiredBit));
  return static_cast<std::uint16_t>(kAnswerBit | kRecursionAvailableBit | kept | static_cast<std::uint16_t>(rcode));
}

template <typename T>
void append(Bytes& out, const T& object) {
  const ByteView bytes = bytes_of(object);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Bytes question_message(std::uint16_t id, std::uint16_t flags, const Question& question) {
  Bytes message;
  append(message, Header{id, flags, 1, 0, 0, 0});
  message.insert(message.end(), question.name.begin(), question.name.end());
  append(message, QuestionTail{question.type, kClassIn});
  return message;
}

// An OPT record, the last of a message: the only one in its additional section.
void append_opt(Bytes& message, std::uint32_t ttl, ByteView options) {
  message.push_back(0);  // the root
  append(message, RecordHead{kTypeOpt, kMaxDatagram, ttl, static_cast<std::uint16_t>(options.size())});
  message.insert(message.end(), options.begin(), options.end());
  std::ranges::copy(bytes_of(be16(1)), message.begin() + offsetof(Header, additionals));
}

void append_opt(Bytes& message, const Query& query, ByteView options = {}) {
  if (query.edns) append_opt(message, query.dnssec_ok ? kDnssecOkBit : 0, options);
}

Bytes error_option(const ExtendedError& error) {
  const std::string_view text = std::string_view(error.text).substr(0, kMaxExtraText);
  Bytes option;
  append(option, be16(kOptionExtendedError));
  append(option, be16(static_cast<std::uint16_t>(sizeof(be16) + text.size())));
  append(option, be16(static_cast<std::uint16_t>(error.code)));
  option.insert(option.end(), text.begin(), text.end());
  return option;
}

std::uint16_t query_flags(const Query& query) {
  unsigned flags = query.recursion_desired ? kRecursionDesiredBit : 0;
  if (query.authentic_data) flags |= kAuthenticDataBit;
  if (query.checking_disabled) flags |= kCheckingDisabledBit;
  return static_cast<std::uint16_t>(flags);
}

Bytes empty_answer(const Query& query, std::uint16_t flags) {
  return question_message(query.id, flags, query.question);
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

  if (outline->opt && (outline->opt->ttl >> 16 & 0xff) != 0) return fault(QueryFault::bad_version);

  Query query{Bytes(message.begin(), message.end()), header.id, std::move(outline->question)};
  query.recursion_desired = (header.flags & kRecursionDesiredBit) != 0;
  query.authentic_data = (header.flags & kAuthenticDataBit) != 0;
  query.checking_disabled = (header.flags & kCheckingDisabledBit) != 0;
  if (outline->opt) {
    query.edns = true;
    query.dnssec_ok = (outline->opt->ttl & kDnssecOkBit) != 0;
    query.udp_limit = std::clamp<std::size_t>(outline->opt->klass, 512, kMaxDatagram);
  }
  return {std::move(query), {}};
}

Query make_query(std::string_view name, std::uint16_t type) {
  Query query;
  query.question = {wire_name(name), type};
  query.edns = true;
  query.udp_limit = kMaxDatagram;
  query.bytes = encode_query(query, 0);
  return query;
}

Bytes encode_query(const Query& query, std::uint16_t id) {
  Bytes message = question_message(id, query_flags(query), query.question);
  append_opt(message, query);
  return message;
}

std::optional<Bytes> encode_fault(ByteView message, QueryFault why) {
  Header header;
  if (why == QueryFault::unanswerable || !Reader(message).read(header)) return std::nullopt;
  Rcode rcode = Rcode::format_error;
  if (why == QueryFault::not_implemented) rcode = Rcode::not_implemented;
  if (why == QueryFault::refused) rcode = Rcode::refused;
  if (why == QueryFault::bad_version) rcode = Rcode::no_error;
  Bytes answer;
  append(answer, Header{header.id, answer_flags(header.flags, rcode), 0, 0, 0, 0});
  if (why == QueryFault::bad_version) append_opt(answer, kBadVersion, {});
  return answer;
}

Bytes encode_answer(const Query& query, Rcode rcode, const std::optional<ExtendedError>& why) {
  Bytes answer = empty_answer(query, answer_flags(query_flags(query), rcode));
  append_opt(answer, query, why ? error_option(*why) : Bytes());
  return answer;
}

Bytes encode_addresses(const Query& query, std::span<const Bytes> addresses, std::uint32_t ttl) {
  constexpr std::uint16_t kQuestionsName = 0xc000 | sizeof(Header);  // a pointer to it
  Bytes answer = empty_answer(query, answer_flags(query_flags(query), Rcode::no_error));
  for (const Bytes& address : addresses) {
    append(answer, be16(kQuestionsName));
    append(answer, RecordHead{query.question.type, kClassIn, ttl, static_cast<std::uint16_t>(address.size())});
    answer.insert(answer.end(), address.begin(), address.end());
  }
  std::ranges::copy(bytes_of(be16(static_cast<std::uint16_t>(addresses.size()))),
                    answer.begin() + offsetof(Header, answers));
  append_opt(answer, query);
  return answer;
}

std::optional<Answer> parse_answer(ByteView message, std::uint16_t id, const Question& question) {
  const auto outline = outline_of(message);
  if (!outline || outline->header.id != id) return std::nullopt;
  const std::uint16_t flags = outline->header.flags;
  if ((flags & kAnswerBit) == 0 || (flags & kOpcodeMask) != 0 || outline->klass != kClassIn) return std::nullopt;
  if (outline->question.type != question.type || !same_name(outline->question.name, question.name)) return std::nullopt;
  return Answer{static_cast<Rcode>(flags & kRcodeMask), (flags & kTruncatedBit) != 0};
}

std::uint16_t id_of(ByteView message) {
  be16 id;
  return Reader(message).read(id) ? std::uint16_t{id} : std::uint16_t{0};
}

void set_id(Bytes& message, std::uint16_t id) {
  MICROAGENT_CHECK(message.size() >= sizeof(be16));
  std::ranges::copy(bytes_of(be16(id)), message.begin());
}

std::vector<std::size_t> ttl_places(ByteView message) {
  auto outline = outline_of(message);
  MICROAGENT_CHECK(outline);
  return std::move(outline->ttl_places);
}

Bytes deliver(const Query& query, Bytes answer, bool over_udp) {
  Header header;
  MICROAGENT_CHECK(Reader(answer).read(header) && answer.size() >= sizeof header + query.question.name.size());
  if (over_udp && answer.size() > query.udp_limit) {
    Bytes cut = empty_answer(query, static_cast<std::uint16_t>(header.flags | kTruncatedBit));
    append_opt(cut, query);
    return cut;
  }
  set_id(answer, query.id);
  std::ranges::copy(query.question.name, answer.begin() + sizeof header);
  return answer;
}

}  // namespace microagent::dns
