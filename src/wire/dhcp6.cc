#include "wire/dhcp6.h"

namespace microagent::wire {
namespace {

enum Option : std::uint16_t {
  kClientIdentifier = 1,
  kServerIdentifier = 2,
  kAssociation = 3,
  kAddress = 5,
  kStatus = 13,
  kRapidCommit = 14,
  kResolvers = 23,
};

constexpr std::uint32_t kForever = 0xffff'ffff;

struct OptionHeader {
  be16 option;
  be16 length;
};

struct Association {
  be32 identifier;
  be32 renew_after = kForever, rebind_after = kForever;
};

struct Address {
  OptionHeader header{kAddress, sizeof(Address) - sizeof(OptionHeader)};
  std::array<std::uint8_t, 16> address{};
  be32 preferred_lifetime = kForever, valid_lifetime = kForever;
};
static_assert(sizeof(Address) == 28);

bool is_from_client(Dhcp6Kind kind) {
  switch (kind) {
    case Dhcp6Kind::solicit:
    case Dhcp6Kind::request:
    case Dhcp6Kind::confirm:
    case Dhcp6Kind::renew:
    case Dhcp6Kind::rebind:
    case Dhcp6Kind::release:
    case Dhcp6Kind::decline:
    case Dhcp6Kind::information_request: return true;
    default: return false;
  }
}

bool read_option(std::uint16_t option, ByteView value, Dhcp6Message& out) {
  switch (option) {
    case kClientIdentifier: out.client_identifier = value; return !value.empty() && value.size() <= kMaxDhcp6Identifier;
    case kServerIdentifier: out.server_identifier = value; return !value.empty() && value.size() <= kMaxDhcp6Identifier;
    case kAssociation: {
      Association association;
      Reader reader(value);
      if (!reader.read(association)) return false;
      if (!out.association) out.association = association.identifier;
      return true;
    }
    case kRapidCommit: return out.rapid_commit = true;
    default: return true;
  }
}

void write_option(Writer& writer, Option option, ByteView value) {
  (void)writer.write(OptionHeader{option, static_cast<std::uint16_t>(value.size())});
  (void)writer.write(value);
}

void write_association(Writer& writer, std::uint32_t identifier, const Dhcp6Terms& terms) {
  struct {
    Association association;
    Address address;
  } body;
  body.association.identifier = identifier;
  body.address.address = terms.address;
  write_option(writer, kAssociation, bytes_of(body));
}

}  // namespace

std::optional<Dhcp6Message> parse_dhcp6(ByteView bytes) {
  Dhcp6Message message;
  Reader reader(bytes);
  if (!reader.read(message.kind) || !reader.read(message.transaction) || !is_from_client(message.kind)) {
    return std::nullopt;
  }
  OptionHeader header;
  ByteView value;
  while (reader.read(header)) {
    if (!reader.take(header.length, value) || !read_option(header.option, value, message)) return std::nullopt;
  }
  if (reader.left() != 0) return std::nullopt;
  const bool may_be_nobody = message.kind == Dhcp6Kind::information_request;
  if (message.client_identifier.empty() && !may_be_nobody) return std::nullopt;
  return message;
}

std::size_t encode_dhcp6_reply(const Dhcp6Message& request, Dhcp6Kind kind, const Dhcp6Terms& terms, MutableBytes out) {
  Writer writer(out);
  (void)writer.write(kind);
  (void)writer.write(ByteView(request.transaction));
  if (!request.client_identifier.empty()) write_option(writer, kClientIdentifier, request.client_identifier);
  write_option(writer, kServerIdentifier, bytes_of(terms.server));
  if (terms.gives_address && request.association) write_association(writer, *request.association, terms);
  if (terms.says_success) write_option(writer, kStatus, bytes_of(be16(0)));
  write_option(writer, kResolvers, terms.resolver);
  if (kind == Dhcp6Kind::reply && request.kind == Dhcp6Kind::solicit) write_option(writer, kRapidCommit, {});
  return writer.written();
}

}  // namespace microagent::wire
