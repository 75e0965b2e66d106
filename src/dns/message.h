#pragma once

// DNS messages as a forwarder sees them (RFC 1035, 4): header, exactly one question, and records that it walks over but
// does not read, OPT apart (records.h reads the others). Guests write the queries and anybody the answers; both are
// hostile input.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace microagent::dns {

using Bytes = std::vector<std::uint8_t>;

// The largest message: what the two-byte length over TCP can say (RFC 1035, 4.2.2).
inline constexpr std::size_t kMaxMessage = 65'535;
// The largest answer that is sent to a guest, or asked of a resolver, in a datagram: below every usual path MTU, so
// never fragmented.
inline constexpr std::size_t kMaxDatagram = 1232;

enum class Rcode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,
  not_implemented = 4,
  refused = 5
};

inline constexpr std::uint16_t kTypeA = 1, kTypeCname = 5, kTypeSoa = 6, kTypeAaaa = 28, kTypeSvcb = 64,
                               kTypeHttps = 65;

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
  bool edns = false;            // it has an OPT record
  bool dnssec_ok = false;       // DO (RFC 3225)
  bool recursion_desired = true;
  bool authentic_data = false;     // AD: tell me (RFC 6840, 5.7)
  bool checking_disabled = false;  // CD
};

// Why a message is no such query, and so what the guest is told.
enum class QueryFault {
  unanswerable,     // too short for a header, or itself an answer: nothing
  malformed,        // FORMERR
  not_implemented,  // an opcode other than QUERY: NOTIMP
  refused,          // a class other than IN, or a zone transfer: REFUSED
  bad_version,      // an EDNS version other than 0: BADVERS (RFC 6891, 6.1.3)
};

struct ParsedQuery {
  std::optional<Query> query;
  QueryFault fault{};  // meaningful without a query
};

ParsedQuery parse_query(ByteView message);

// A query of our own, with EDNS. `name` is canonical (policy/host.h).
Query make_query(std::string_view name, std::uint16_t type);

// What a resolver is asked: flags, question and EDNS of the query, and nothing else the guest put into it.
Bytes encode_query(const Query& query, std::uint16_t id);

// Why an answer is what it is, for people and programs (RFC 8914). Told to guests that speak EDNS.
enum class ErrorCode : std::uint16_t {
  blocked = 15,                 // by a deny rule
  prohibited = 18,              // by the lock
  no_reachable_authority = 22,  // no resolver answered
  network_error = 23,           // there is no resolver to ask
};
struct ExtendedError {
  ErrorCode code{};
  std::string text;  // EXTRA-TEXT; cut at kMaxExtraText
};
inline constexpr std::size_t kMaxExtraText = 255;

// The answer to what parse_query() did not take; nothing for `unanswerable`.
std::optional<Bytes> encode_fault(ByteView message, QueryFault fault);
// An answer without records: the question, and why there is nothing else.
Bytes encode_answer(const Query& query, Rcode rcode, const std::optional<ExtendedError>& why = std::nullopt);
// An answer with one address record each for the question: for names of our own.
Bytes encode_addresses(const Query& query, std::span<const Bytes> addresses, std::uint32_t ttl);

// What a forwarder must know of an answer.
struct Answer {
  Rcode rcode{};
  bool truncated = false;
};

// Nothing unless the message is whole, an answer, and has this id and the query's question.
std::optional<Answer> parse_answer(ByteView message, std::uint16_t id, const Question& question);

// Where a message that parse_answer() took has its times to live, OPT's flags not among them.
std::vector<std::size_t> ttl_places(ByteView message);

std::uint16_t id_of(ByteView message);  // 0 where there is none
// Writes another id into a message of at least two bytes.
void set_id(Bytes& message, std::uint16_t id);

// `answer` (that parse_answer() took) as it goes to the guest: with the guest's id and spelling of the name, and over
// UDP cut to its question with TC set when it is longer than the guest takes.
Bytes deliver(const Query& query, Bytes answer, bool over_udp);

}  // namespace microagent::dns
