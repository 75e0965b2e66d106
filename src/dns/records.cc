#include "dns/records.h"

#include <ldns/ldns.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "dns/names.h"
#include "dns/service_parameters.h"
#include "policy/host.h"

namespace microagent::dns {
namespace {

constexpr std::size_t kMaxChain = 16;  // CNAMEs that are followed

using Packet = std::unique_ptr<ldns_pkt, decltype(&::ldns_pkt_free)>;

std::optional<Packet> parse(ByteView message) {
  ldns_pkt* packet = nullptr;
  if (::ldns_wire2pkt(&packet, message.data(), message.size()) != LDNS_STATUS_OK) return std::nullopt;
  return Packet(packet, ::ldns_pkt_free);
}

std::vector<ldns_rr*> records_of(const ldns_rr_list* list) {
  std::vector<ldns_rr*> records;
  for (std::size_t i = 0; i < ::ldns_rr_list_rr_count(list); ++i) records.push_back(::ldns_rr_list_rr(list, i));
  return records;
}

ByteView data_of(const ldns_rdf* field) { return {::ldns_rdf_data(field), ::ldns_rdf_size(field)}; }

// A record's data as on the wire, names uncompressed.
Bytes data_of(const ldns_rr* record) {
  Bytes data;
  for (std::size_t i = 0; i < ::ldns_rr_rd_count(record); ++i) {
    const ByteView field = data_of(::ldns_rr_rdf(record, i));
    data.insert(data.end(), field.begin(), field.end());
  }
  return data;
}

std::uint16_t type_of(const ldns_rr* record) { return static_cast<std::uint16_t>(::ldns_rr_get_type(record)); }

bool is_service(std::uint16_t type) { return type == kTypeSvcb || type == kTypeHttps; }

// Reads who is bound to what out of an answer section.
class Collector {
 public:
  explicit Collector(std::vector<ldns_rr*> answers) : answers_(std::move(answers)) {}

  Bindings collect(const Bytes& question) {
    follow_chain(question);
    for (const ldns_rr* record : answers_) {
      if (is_on_chain(data_of(::ldns_rr_owner(record)))) read(record);
    }
    if (bindings_.addresses.empty()) return {};
    for (const Bytes& name : chain_) {
      if (auto canonical = policy::canonical_name(name_text(name))) bindings_.names.push_back(std::move(*canonical));
    }
    return std::move(bindings_);
  }

 private:
  void follow_chain(const Bytes& question) {
    chain_.push_back(question);
    while (chain_.size() <= kMaxChain) {
      const auto next = target_of(chain_.back());
      if (!next || is_on_chain(*next)) return;
      chain_.push_back(*next);
    }
  }

  std::optional<Bytes> target_of(const Bytes& name) {
    for (const ldns_rr* record : answers_) {
      if (type_of(record) != kTypeCname || !same_name(data_of(::ldns_rr_owner(record)), name)) continue;
      note_ttl(record);
      return data_of(record);
    }
    return std::nullopt;
  }

  bool is_on_chain(ByteView name) const {
    return std::ranges::any_of(chain_, [&](const Bytes& known) { return same_name(known, name); });
  }

  void read(const ldns_rr* record) {
    const std::uint16_t type = type_of(record);
    const Bytes data = data_of(record);
    if (type == kTypeA && data.size() == 4) return bind(data, record);
    if (type == kTypeAaaa && data.size() == 16) return bind(data, record);
    if (!is_service(type)) return;
    for (const ByteView hint : address_hints(data)) bind(hint, record);
  }

  void bind(ByteView bytes, const ldns_rr* record) {
    policy::Address address;
    address.family = bytes.size() == 4 ? policy::Address::Family::ipv4 : policy::Address::Family::ipv6;
    std::ranges::copy(bytes, address.bytes.begin());
    bindings_.addresses.push_back(policy::unmapped(address));
    note_ttl(record);
  }

  void note_ttl(const ldns_rr* record) { bindings_.ttl = ttl_ = std::min(ttl_, ::ldns_rr_ttl(record)); }

  std::vector<ldns_rr*> answers_;
  std::vector<Bytes> chain_;
  Bindings bindings_;
  std::uint32_t ttl_ = kMaxKeep;
};

std::optional<std::uint32_t> keep_of_answers(const ldns_pkt* packet) {
  std::uint32_t least = kMaxKeep;
  for (const ldns_rr* record : records_of(::ldns_pkt_answer(packet))) {
    least = std::min(least, ::ldns_rr_ttl(record));
  }
  return least;
}

// RFC 2308, 5: what is not there stays so for the SOA's own time to live, or its MINIMUM where that is less.
std::optional<std::uint32_t> keep_of_nothing(const ldns_pkt* packet) {
  for (const ldns_rr* record : records_of(::ldns_pkt_authority(packet))) {
    if (type_of(record) != kTypeSoa || ::ldns_rr_rd_count(record) != 7) continue;
    const std::uint32_t minimum = ::ldns_rdf2native_int32(::ldns_rr_rdf(record, 6));
    return std::min({kMaxKeepNegative, ::ldns_rr_ttl(record), minimum});
  }
  return std::nullopt;
}

// Whether the question's own type is there, be it behind a chain: a chain that ends in nothing is a negative answer.
bool answers_question(const ldns_pkt* packet, std::uint16_t type) {
  constexpr std::uint16_t kTypeAny = 255;
  return std::ranges::any_of(records_of(::ldns_pkt_answer(packet)),
                             [&](const ldns_rr* record) { return type_of(record) == type || type == kTypeAny; });
}

std::optional<std::uint32_t> keep_of(const ldns_pkt* packet, std::uint16_t type) {
  const ldns_pkt_rcode rcode = ::ldns_pkt_get_rcode(packet);
  if (::ldns_pkt_tc(packet) || (rcode != LDNS_RCODE_NOERROR && rcode != LDNS_RCODE_NXDOMAIN)) return std::nullopt;
  const auto answers = keep_of_answers(packet);
  if (rcode == LDNS_RCODE_NOERROR && answers_question(packet, type)) return answers;
  const auto nothing = keep_of_nothing(packet);
  return nothing ? std::optional(std::min(*answers, *nothing)) : std::nullopt;
}

// Replaces the data of a record; false where memory is short.
bool replace_data(ldns_rr* record, const Bytes& data) {
  ldns_rdf* field = ::ldns_rdf_new_frm_data(LDNS_RDF_TYPE_UNKNOWN, data.size(), data.data());
  if (field == nullptr) return false;
  while (ldns_rdf* old = ::ldns_rr_pop_rdf(record)) ::ldns_rdf_deep_free(old);
  if (::ldns_rr_push_rdf(record, field)) return true;
  ::ldns_rdf_deep_free(field);
  return false;
}

enum class Change { none, made, failed };

Change strip_section(const ldns_rr_list* list) {
  Change change = Change::none;
  for (ldns_rr* record : records_of(list)) {
    if (!is_service(type_of(record))) continue;
    const auto stripped = without_ech(data_of(record));
    if (!stripped) return Change::failed;
    if (stripped->size() == data_of(record).size()) continue;
    if (!replace_data(record, *stripped)) return Change::failed;
    change = Change::made;
  }
  return change;
}

// False where a record's data is not what its type says. Leaves the packet changed.
bool strip(ldns_pkt* packet, std::optional<Bytes>& rewritten) {
  bool changed = false;
  for (const ldns_rr_list* list :
       {::ldns_pkt_answer(packet), ::ldns_pkt_authority(packet), ::ldns_pkt_additional(packet)}) {
    const Change change = strip_section(list);
    if (change == Change::failed) return false;
    changed = changed || change == Change::made;
  }
  if (!changed) return true;
  std::uint8_t* wire = nullptr;
  std::size_t size = 0;
  if (::ldns_pkt2wire(&wire, packet, &size) != LDNS_STATUS_OK) return false;
  const std::unique_ptr<std::uint8_t, decltype(&::free)> owned(wire, ::free);
  rewritten = Bytes(wire, wire + size);
  return size <= kMaxMessage;
}

}  // namespace

std::optional<Digest> examine(ByteView message, const Question& question) {
  const auto packet = parse(message);
  if (!packet) return std::nullopt;
  Digest digest;
  digest.bindings = Collector(records_of(::ldns_pkt_answer(packet->get()))).collect(question.name);
  digest.keep = keep_of(packet->get(), question.type);
  if (!strip(packet->get(), digest.rewritten)) return std::nullopt;
  // Nothing may leave here that the rest of this folder would not take.
  if (digest.rewritten && !parse_answer(*digest.rewritten, id_of(message), question)) return std::nullopt;
  return digest;
}

}  // namespace microagent::dns
