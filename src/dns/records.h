#pragma once

// What the records of an answer say, read by ldns; no other file knows that library.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dns/message.h"
#include "policy/address.h"

namespace microagent::dns {

// Addresses that an answer gives for its question, and the names it gives them for: the question's own and every one
// that a chain of CNAMEs leads through.
struct Bindings {
  std::vector<std::string> names;          // canonical (policy/host.h); names that no host can have are left out
  std::vector<policy::Address> addresses;  // of A and AAAA, and the hints of SVCB and HTTPS (RFC 9460, 7.3)
  std::uint32_t ttl = 0;                   // seconds, the least of the records that say so
};

struct Digest {
  Bindings bindings;
  // For how many seconds the answer may be kept: the least time to live of its records, or what the SOA says of what is
  // not there (RFC 2308, 5). Nothing where it must not be kept.
  std::optional<std::uint32_t> keep;
  // The message without the keys for Encrypted ClientHello (SvcParam 5 of SVCB and HTTPS) that stood in it; everything
  // else is as it was. Nothing where there were none.
  std::optional<Bytes> rewritten;
};

inline constexpr std::uint32_t kMaxKeep = 86'400, kMaxKeepNegative = 10'800;

// Of an answer that parse_answer() took for this question. Nothing where a record is not what its type says.
std::optional<Digest> examine(ByteView message, const Question& question);

}  // namespace microagent::dns
