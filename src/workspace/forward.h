#pragma once

// Published ports as the user writes them: --publish [HOST:]HOSTPORT:GUESTPORT[/tcp|/udp], and the same in four parts
// in a spec. A port may be a range, 8000-8010, of the same length on both sides.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workspace/manifest.h"

namespace microagent::workspace {

inline constexpr std::size_t kMaxForwards = 1024;  // of one workspace: each costs a host descriptor

// The four parts of a mapping, unchecked. An empty host is 127.0.0.1, an empty protocol tcp.
struct ForwardText {
  std::string protocol, host, host_ports, guest_ports;
};

// One forward for every port of the range. Kind usage; the message does not repeat the mapping.
Result<std::vector<Forward>> expand(const ForwardText& text);

// The same from one text. An IPv6 host stands in brackets.
Result<std::vector<Forward>> parse_publish(std::string_view mapping);

// "127.0.0.1:8080:80/tcp", with brackets around IPv6.
std::string describe(const Forward& forward);

// Whether both cannot be bound at once. Host port 0 never collides; 0.0.0.0 and [::] hold every address.
bool collide(const Forward& one, const Forward& other);

}  // namespace microagent::workspace
