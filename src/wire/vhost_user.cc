#include "wire/vhost_user.h"

#include "base/check.h"

namespace microagent::wire {
namespace {

constexpr std::uint64_t kVringIndexMask = 0xff;
constexpr std::uint64_t kVringNoFd = 0x100;

struct MemoryTableHeader {
  le32 count;
  le32 padding;
};

template <typename T>
std::optional<T> parse_exactly(ByteView payload) {
  T value;
  Reader reader(payload);
  if (!reader.read(value) || reader.left() != 0) return std::nullopt;
  return value;
}

}  // namespace

std::optional<VhostHeader> parse_vhost_header(ByteView bytes) {
  const auto header = parse_exactly<VhostHeader>(bytes);
  if (!header) return std::nullopt;
  if ((header->flags & kVhostVersionMask) != kVhostVersion) return std::nullopt;
  if ((header->flags & kVhostReply) != 0) return std::nullopt;
  if (header->size > kVhostMaxPayload) return std::nullopt;
  return header;
}

std::optional<std::uint64_t> parse_vhost_u64(ByteView payload) {
  const auto value = parse_exactly<le64>(payload);
  if (!value) return std::nullopt;
  return std::uint64_t{*value};
}

std::optional<VhostVringState> parse_vhost_vring_state(ByteView payload) {
  return parse_exactly<VhostVringState>(payload);
}

std::optional<VhostVringAddress> parse_vhost_vring_address(ByteView payload) {
  return parse_exactly<VhostVringAddress>(payload);
}

std::optional<VhostVringFd> parse_vhost_vring_fd(ByteView payload) {
  const auto value = parse_vhost_u64(payload);
  if (!value || (*value & ~(kVringIndexMask | kVringNoFd)) != 0) return std::nullopt;
  return VhostVringFd{static_cast<std::uint8_t>(*value & kVringIndexMask), (*value & kVringNoFd) == 0};
}

std::optional<VhostMemoryTable> parse_vhost_memory_table(ByteView payload) {
  Reader reader(payload);
  MemoryTableHeader header;
  if (!reader.read(header) || header.count == 0 || header.count > kVhostMaxRegions) return std::nullopt;
  VhostMemoryTable table;
  for (; table.count < header.count; ++table.count) {
    if (!reader.read(table.regions[table.count])) return std::nullopt;
  }
  if (reader.left() != 0) return std::nullopt;
  return table;
}

std::optional<VhostConfigHeader> parse_vhost_config_request(ByteView payload) {
  Reader reader(payload);
  VhostConfigHeader header;
  if (!reader.read(header) || header.size > kVhostMaxConfig || header.size != reader.left()) return std::nullopt;
  return header;
}

std::size_t encode_vhost_memory_table(const VhostMemoryTable& table, MutableBytes out) {
  Writer writer(out);
  MICROAGENT_CHECK(writer.write(MemoryTableHeader{static_cast<std::uint32_t>(table.count), std::uint32_t{0}}));
  for (const VhostRegion& region : table.view()) MICROAGENT_CHECK(writer.write(region));
  return writer.written();
}

std::uint64_t encode_vhost_vring_fd(const VhostVringFd& vring) { return vring.index | (vring.has_fd ? 0 : kVringNoFd); }

}  // namespace microagent::wire
