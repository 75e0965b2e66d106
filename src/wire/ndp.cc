#include "wire/ndp.h"

namespace microagent::wire {

NdpOptions look_at_ndp_options(ByteView bytes) {
  NdpOptions out;
  Reader reader(bytes);
  struct {
    std::uint8_t type, length;
  } option{};
  while (reader.read(option)) {
    const std::size_t rest = option.length * std::size_t{8};
    if (rest == 0 || !reader.skip(rest - sizeof option)) return {};
    out.has_source_address |= option.type == NdpLinkAddress::kSource;
  }
  out.right = reader.left() == 0;
  return out;
}

}  // namespace microagent::wire
