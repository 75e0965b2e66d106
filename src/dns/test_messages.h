#pragma once

// DNS messages for the tests of this folder and of the mediator.

#include <string>
#include <string_view>

#include "dns/message.h"

namespace microagent::dns {

inline void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

inline Bytes test_name(std::string_view dotted) {
  Bytes name;
  while (!dotted.empty()) {
    const std::string_view label = dotted.substr(0, dotted.find('.'));
    name.push_back(static_cast<std::uint8_t>(label.size()));
    name.insert(name.end(), label.begin(), label.end());
    dotted.remove_prefix(std::min(dotted.size(), label.size() + 1));
  }
  name.push_back(0);
  return name;
}

struct TestMessage {
  unsigned id = 0x1234;
  unsigned flags = 0x0100;  // a query that wants recursion
  std::string_view name = "www.example.com";
  unsigned type = 1;
  unsigned klass = 1;
  unsigned answers = 0;    // A records, each naming the question by a pointer
  unsigned edns_size = 0;  // 0: no OPT record

  Bytes encode() const {
    Bytes out;
    for (const unsigned word : {id, flags, 1U, answers, 0U, edns_size == 0 ? 0U : 1U}) put16(out, word);
    const Bytes wire_name = test_name(name);
    out.insert(out.end(), wire_name.begin(), wire_name.end());
    put16(out, type);
    put16(out, klass);
    for (unsigned i = 0; i < answers; ++i) {
      for (const unsigned word : {0xc00cU, 1U, 1U, 0U, 60U, 4U, 0xcb00U, 0x7100U + i % 256}) put16(out, word);
    }
    if (edns_size != 0) {
      out.push_back(0);
      for (const unsigned word : {41U, edns_size, 0U, 0U, 0U}) put16(out, word);
    }
    return out;
  }
};

}  // namespace microagent::dns
