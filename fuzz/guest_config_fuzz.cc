// The guest's configuration and its facts, the latter hostile. What is accepted must say the same when written and read
// again.

#include "base/check.h"
#include "wire/guest_config.h"

namespace microagent::wire {
namespace {

void run(std::string_view text) {
  if (const auto config = parse_guest_config(text)) {
    const std::string again = encode_guest_config(*config);
    const auto reread = parse_guest_config(again);
    MICROAGENT_CHECK(reread && encode_guest_config(*reread) == again);
  }
  if (const auto facts = parse_guest_facts(text)) {
    MICROAGENT_CHECK(facts->dns.size() <= kMaxGuestDns && facts->routes.size() <= kMaxGuestRoutes);
    const std::string again = encode_guest_facts(*facts);
    const auto reread = parse_guest_facts(again);
    MICROAGENT_CHECK(reread && encode_guest_facts(*reread) == again);
  }
}

}  // namespace
}  // namespace microagent::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  microagent::wire::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
