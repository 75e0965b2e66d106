#pragma once

// DNS messages as a forwarder sees them (RFC 1035, 4): header, exactly one question, and records that it walks over but
// does not read, the EDNS size apart. Guests write the queries and anybody the answers; both are hostile input.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace microagent::dns {

using Bytes = std::vector<std::uint8_t>;

// The largest message: what the two-byte length over TCP can say (RFC 1035, 4.2.2).
inline constexpr std::size_t kMaxMessage = 65'535;
// The largest answer that is sent to a guest in a datagram: below every usual path MTU, so never fragmented.
inline constexpr std::size_t kMaxDatagram = 1232;

enum class Rcode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,
  not_implemented = 4,
  refused = 5
};

struct Question {
  Bytes name;  // uncompressed, as on the wire
  std::uint16_t type = 0;
};

// A guest's query, fit to be forwarded: opcode QUERY, one question of class IN, no answers, every record whole.
struct Query {
  Bytes bytes;
  std::uint16_t id = 0;
  Question question;
  std::size_t udp_limit = 512;  // the largest answer the guest takes in a datagram (RFC 6891, 6.2.3)
};

// Why a message is no such query, and so what the guest is told.
enum class QueryFault {
  unanswerable,     // too short for a header, or itself an answer: nothing
  malformed,        // FORMERR
  not_implemented,  // an opcode other than QUERY: NOTIMP
  refused,          // a class other than IN, or a zone transfer: REFUSED
};

struct ParsedQuery {
  std::optional<Query> query;
  QueryFault fault{};  // meaningful without a query
};

ParsedQuery parse_query(ByteView message);

// The answer to what parse_query() did not take; nothing for `unanswerable`.
std::optional<Bytes> encode_fault(ByteView message, QueryFault fault);
// An answer without records: the question, and why there is nothing else.
Bytes encode_answer(const Query& query, Rcode rcode);

// What a forwarder must know of an answer.
struct Answer {
  Rcode rcode{};
  bool truncated = false;
};

// Nothing unless the message is whole, an answer, and has this id and the query's question.
std::optional<Answer> parse_answer(ByteView message, std::uint16_t id, const Question& question);

// Writes another id into a message of at least two bytes.
void set_id(Bytes& message, std::uint16_t id);

// `answer` (that parse_answer() took) as it goes to the guest: with the guest's id, and over UDP cut to its question
// with TC set when it is longer than the guest takes.
Bytes deliver(const Query& query, Bytes answer, bool over_udp);

}  // namespace microagent::dns
