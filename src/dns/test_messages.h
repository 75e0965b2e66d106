#pragma once

// DNS messages for the tests of this folder and of the mediator.

#include <string>
#include <string_view>
#include <vector>

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

struct TestRecord {
  std::string_view owner;
  unsigned type = 1;
  std::uint32_t ttl = 60;
  Bytes data;
};

inline TestRecord test_a(std::string_view owner, std::uint8_t last, std::uint32_t ttl = 60) {
  return {owner, 1, ttl, {203, 0, 113, last}};
}
inline TestRecord test_cname(std::string_view owner, std::string_view target, std::uint32_t ttl = 60) {
  return {owner, 5, ttl, test_name(target)};
}
inline TestRecord test_soa(std::uint32_t ttl, std::uint32_t minimum) {
  Bytes data = test_name("ns.example.com");
  const Bytes mailbox = test_name("root.example.com");
  data.insert(data.end(), mailbox.begin(), mailbox.end());
  for (const std::uint32_t number : {1U, 2U, 3U, 4U, minimum}) {
    put16(data, number >> 16);
    put16(data, number & 0xffff);
  }
  return {"example.com", 6, ttl, data};
}

// An answer whose records are written out in full. Its question is that of TestMessage.
struct TestAnswer {
  unsigned id = 0x1234;
  unsigned flags = 0x8180;
  std::string_view name = "www.example.com";
  unsigned type = 1;
  std::vector<TestRecord> answers, authorities, additionals;
  bool edns = false;

  static void put(Bytes& out, const TestRecord& record) {
    const Bytes owner = test_name(record.owner);
    out.insert(out.end(), owner.begin(), owner.end());
    for (const std::size_t word : {std::size_t{record.type}, std::size_t{1}, std::size_t{record.ttl >> 16},
                                   std::size_t{record.ttl & 0xffff}, record.data.size()}) {
      put16(out, static_cast<unsigned>(word));
    }
    out.insert(out.end(), record.data.begin(), record.data.end());
  }

  Bytes encode() const {
    Bytes out = TestMessage{.id = id, .flags = flags, .name = name, .type = type}.encode();
    const auto count = [&](std::size_t place, std::size_t records) { out[place] = static_cast<std::uint8_t>(records); };
    count(7, answers.size());
    count(9, authorities.size());
    count(11, additionals.size() + (edns ? 1 : 0));
    for (const auto* section : {&answers, &authorities, &additionals}) {
      for (const TestRecord& record : *section) put(out, record);
    }
    if (edns) {
      out.push_back(0);
      for (const unsigned word : {41U, 1232U, 0U, 0U, 0U}) put16(out, word);
    }
    return out;
  }
};

}  // namespace microagent::dns
