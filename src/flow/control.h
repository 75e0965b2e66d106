#pragma once

// Between supervisor and mediator: lifecycle facts, over an AF_UNIX SOCK_SEQPACKET socket, one JSON object a packet,
// at most kMaxControlMessage bytes. The mediator ends the guest agent's stream and checks every byte of it, so the
// supervisor only ever reads what the mediator composed.
//
//   mediator -> supervisor
//     {"type":"ready"}                                        sandboxed and serving: the first message
//     {"type":"guest_ready","network":{"ip","subnet","gateway","dns":[],"routes":[]},   ("network" absent in isolated)
//      "stages":[{"name","microseconds"}]}   the parts of the guest's boot, absent where it tells none
//     {"type":"workload_exited","code":0,"signal":0}
//     {"type":"guest_failed","error":"..."}                   the guest's init could not set up; text in ASCII
//     {"type":"mediation","ready":bool,"error":"..."}
//     {"type":"trust","ready":bool,"error":"..."}             the guest trusts the authority that intercepts its TLS
//     {"type":"result_ready","bytes":N,"error":"..."}         the guest's result is kept, or why not
//   supervisor -> mediator
//     {"type":"shutdown","patienceMs":N}                      ask the guest's init for a clean end within that time
#include <cstddef>

namespace microagent::flow {
inline constexpr std::size_t kMaxControlMessage = 16 * 1024;
}  // namespace microagent::flow
