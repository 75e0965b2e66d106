#include "policy/claim.h"

#include <algorithm>

#include "policy/host.h"

namespace microagent::policy {
namespace {

bool is_bound(const Facts& facts, const std::string& name) {
  return std::ranges::find(facts.bound_names, name) != facts.bound_names.end();
}

// TLS or HTTP whose guest has said, or not said, for whom it is.
bool names_its_host(Content content) { return content != Content::unseen && content != Content::opaque; }

// Flows that carry no name of their own: what DNS told of the address is all there is to go by.
void claim_by_address(const Facts& facts, Claim& claim) {
  claim.granting = facts.bound_names;
  claim.denying = facts.bound_names;
  claim.denied_only_by_all = facts.protocol == Protocol::tcp && facts.content == Content::unseen;
  if (!facts.bound_names.empty()) claim.host = facts.bound_names.front();
}

// A client that could name its host and did not, or that named an address: nothing grants but rules for the address.
void claim_nothing(const Facts& facts, Signal signal, Claim& claim) {
  claim.denying = facts.bound_names;
  claim.signal = signal;
}

void claim_name(const Facts& facts, std::string name, Claim& claim) {
  if (is_bound(facts, name)) {
    claim.host = name;
    claim.granting = {name};
    claim.denying = {std::move(name)};
    return;
  }
  claim_nothing(facts, Signal::name_destination_mismatch, claim);
  claim.denying.insert(claim.denying.begin(), std::move(name));
}

void claim_as_it_names(const Facts& facts, Claim& claim) {
  if (facts.name.empty()) return claim_nothing(facts, Signal::direct_ip_no_sni, claim);
  auto host = parse_host(facts.name);
  if (!host) {
    claim_nothing(facts, Signal::name_destination_mismatch, claim);
    claim.invalid = true;
  } else if (const auto* address = std::get_if<Address>(&*host)) {
    const bool same = *address == claim.destination;
    claim_nothing(facts, same ? Signal::direct_ip_no_sni : Signal::name_destination_mismatch, claim);
  } else {
    claim_name(facts, std::get<std::string>(std::move(*host)), claim);
  }
}

}  // namespace

Claim claim_of(const Facts& facts) {
  Claim claim;
  claim.destination = unmapped(facts.destination);
  const bool is_named = facts.protocol == Protocol::tcp && names_its_host(facts.content);
  is_named ? claim_as_it_names(facts, claim) : claim_by_address(facts, claim);
  if (claim.host.empty()) claim.host = to_string(claim.destination);
  return claim;
}

std::optional<std::string> unbound_name(const Facts& facts) {
  if (!names_its_host(facts.content) || facts.name.empty()) return std::nullopt;
  auto name = canonical_name(facts.name);
  if (!name || is_bound(facts, *name)) return std::nullopt;
  return name;
}

}  // namespace microagent::policy
