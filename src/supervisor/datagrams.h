#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "supervisor/sockets.h"

namespace microagent::supervisor {

struct Datagram {
  SocketAddress peer;   // who sent it
  SocketAddress local;  // which of our addresses it was sent to, with the port
  std::vector<std::uint8_t> payload;

  // Names the conversation: the same for every datagram between the two addresses.
  std::string conversation() const;
};

// The next datagram of a published UDP port (ports.h); nothing when none waits.
std::optional<Datagram> receive_datagram(int socket);

// A socket of its own for the conversation that `datagram` begins: bound to the address it was sent to and connected to
// its sender, nonblocking. While it was not yet connected it may have been given other people's datagrams: they are in
// `strays`. (What the same sender sent in that moment is lost, as datagrams may be.)
Result<Fd> make_conversation_socket(int published, const Datagram& datagram, std::vector<Datagram>& strays);

}  // namespace microagent::supervisor
