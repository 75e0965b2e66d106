#include "dns/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/check.h"

namespace microagent::dns {
namespace {

std::uint8_t lower(std::uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<std::uint8_t>(byte + 32) : byte;
}

bool plain(std::uint8_t byte) {
  const std::uint8_t small = lower(byte);
  return (small >= 'a' && small <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

struct TypeName {
  std::uint16_t type;
  std::string_view text;
};

constexpr std::array kTypes{
    TypeName{1, "A"},     TypeName{2, "NS"},     TypeName{5, "CNAME"}, TypeName{6, "SOA"},     TypeName{12, "PTR"},
    TypeName{15, "MX"},   TypeName{16, "TXT"},   TypeName{28, "AAAA"}, TypeName{33, "SRV"},    TypeName{35, "NAPTR"},
    TypeName{43, "DS"},   TypeName{46, "RRSIG"}, TypeName{47, "NSEC"}, TypeName{48, "DNSKEY"}, TypeName{52, "TLSA"},
    TypeName{64, "SVCB"}, TypeName{65, "HTTPS"}, TypeName{255, "ANY"}, TypeName{257, "CAA"},
};

}  // namespace

std::string name_text(ByteView wire) {
  std::string text;
  Reader reader(wire);
  std::uint8_t length = 0;
  ByteView label;
  while (reader.read(length) && length != 0 && reader.take(length, label)) {
    if (!text.empty()) text.push_back('.');
    for (const std::uint8_t byte : label) {
      if (plain(byte)) {
        text.push_back(static_cast<char>(byte));
      } else {
        text += fmt::format("\\{:03}", byte);
      }
    }
  }
  return text.empty() ? "." : text;
}

Bytes wire_name(std::string_view name) {
  Bytes wire;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    MICROAGENT_CHECK(!label.empty() && label.size() < 64);
    wire.push_back(static_cast<std::uint8_t>(label.size()));
    wire.insert(wire.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  wire.push_back(0);
  MICROAGENT_CHECK(wire.size() <= kMaxName);
  return wire;
}

std::string type_text(std::uint16_t type) {
  for (const TypeName& known : kTypes) {
    if (known.type == type) return std::string(known.text);
  }
  return fmt::format("TYPE{}", type);
}

bool same_name(ByteView a, ByteView b) {
  return std::ranges::equal(a, b, [](std::uint8_t x, std::uint8_t y) { return lower(x) == lower(y); });
}

}  // namespace microagent::dns
