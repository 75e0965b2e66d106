#include "dns/service_parameters.h"

#include "dns/names.h"

namespace microagent::dns {
namespace {

// RFC 9460, 14.3.2.
constexpr std::uint16_t kMandatory = 0, kIpv4Hint = 4, kEch = 5, kIpv6Hint = 6;

struct Parameter {
  std::uint16_t key = 0;
  ByteView value;
};

struct Service {
  ByteView front;  // priority and target
  std::vector<Parameter> parameters;
};

bool skip_target(Reader& reader) {
  const std::size_t before = reader.left();
  std::uint8_t length = 0;
  do {
    if (!reader.read(length) || length > 63 || !reader.skip(length)) return false;
  } while (length != 0);
  return before - reader.left() <= kMaxName;
}

std::optional<Service> parse_service(ByteView data) {
  Reader reader(data);
  if (!reader.skip(sizeof(be16)) || !skip_target(reader)) return std::nullopt;
  Service service{data.first(data.size() - reader.left()), {}};
  while (reader.left() != 0) {
    be16 key, length;
    Parameter parameter;
    if (!reader.read(key) || !reader.read(length) || !reader.take(length, parameter.value)) return std::nullopt;
    parameter.key = key;
    if (!service.parameters.empty() && service.parameters.back().key >= parameter.key) return std::nullopt;
    service.parameters.push_back(parameter);
  }
  return service;
}

void append16(Bytes& out, std::uint16_t value) {
  const be16 wire(value);
  out.insert(out.end(), bytes_of(wire).begin(), bytes_of(wire).end());
}

void append(Bytes& out, std::uint16_t key, ByteView value) {
  append16(out, key);
  append16(out, static_cast<std::uint16_t>(value.size()));
  out.insert(out.end(), value.begin(), value.end());
}

// The list of mandatory keys without that of ECH; empty where nothing else was mandatory.
Bytes mandatory_without_ech(ByteView keys) {
  Bytes kept;
  Reader reader(keys);
  for (be16 key; reader.read(key);) {
    if (key != kEch) append16(kept, key);
  }
  return kept;
}

}  // namespace

std::optional<Bytes> without_ech(ByteView data) {
  const auto service = parse_service(data);
  if (!service) return std::nullopt;
  Bytes kept(service->front.begin(), service->front.end());
  for (const Parameter& parameter : service->parameters) {
    if (parameter.key == kEch) continue;
    if (parameter.key != kMandatory) {
      append(kept, parameter.key, parameter.value);
      continue;
    }
    if (parameter.value.size() % sizeof(be16) != 0) return std::nullopt;
    const Bytes keys = mandatory_without_ech(parameter.value);
    if (!keys.empty()) append(kept, kMandatory, keys);
  }
  return kept;
}

std::vector<ByteView> address_hints(ByteView data) {
  const auto service = parse_service(data);
  if (!service) return {};
  std::vector<ByteView> hints;
  for (const Parameter& parameter : service->parameters) {
    if (parameter.key != kIpv4Hint && parameter.key != kIpv6Hint) continue;
    const std::size_t size = parameter.key == kIpv4Hint ? 4 : 16;
    for (ByteView rest = parameter.value; rest.size() >= size; rest = rest.subspan(size)) {
      hints.push_back(rest.first(size));
    }
  }
  return hints;
}

}  // namespace microagent::dns
