#pragma once

// TLS client hellos for the tests of this folder and of the mediator.

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace microagent::wire {

using HelloBytes = std::vector<std::uint8_t>;

inline void put16(HelloBytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

inline void put(HelloBytes& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

// The list of server_name: names of one type.
inline HelloBytes name_list(const std::vector<std::string_view>& names, std::uint8_t type = 0) {
  HelloBytes list;
  for (const std::string_view name : names) {
    list.push_back(type);
    put16(list, name.size());
    put(list, name);
  }
  HelloBytes extension;
  put16(extension, list.size());
  extension.insert(extension.end(), list.begin(), list.end());
  return extension;
}

inline HelloBytes protocol_list(const std::vector<std::string_view>& protocols) {
  HelloBytes list;
  for (const std::string_view protocol : protocols) {
    list.push_back(static_cast<std::uint8_t>(protocol.size()));
    put(list, protocol);
  }
  HelloBytes extension;
  put16(extension, list.size());
  extension.insert(extension.end(), list.begin(), list.end());
  return extension;
}

struct TestHello {
  using Extension = std::pair<std::uint16_t, HelloBytes>;

  std::vector<Extension> extensions;
  std::size_t session = 32;
  std::size_t ciphers = 4;
  std::size_t compressions = 1;

  static TestHello to(std::string_view name) { return {{{0, name_list({name})}}}; }
  TestHello& with(std::uint16_t type, HelloBytes content) {
    extensions.emplace_back(type, std::move(content));
    return *this;
  }

  // The handshake message alone.
  HelloBytes message() const {
    HelloBytes body{3, 3};
    body.insert(body.end(), 32, 0x5a);
    body.push_back(static_cast<std::uint8_t>(session));
    body.insert(body.end(), session, 0x11);
    put16(body, ciphers);
    body.insert(body.end(), ciphers, 0x13);
    body.push_back(static_cast<std::uint8_t>(compressions));
    body.insert(body.end(), compressions, 0);
    HelloBytes all;
    for (const auto& [type, content] : extensions) {
      put16(all, type);
      put16(all, content.size());
      all.insert(all.end(), content.begin(), content.end());
    }
    put16(body, all.size());
    body.insert(body.end(), all.begin(), all.end());
    HelloBytes message{1, 0};
    put16(message, body.size());
    message.insert(message.end(), body.begin(), body.end());
    return message;
  }

  // In records of at most `fragment` bytes.
  HelloBytes encode(std::size_t fragment = 16 * 1024) const { return in_records(message(), fragment); }

  static HelloBytes in_records(const HelloBytes& message, std::size_t fragment) {
    HelloBytes records;
    for (std::size_t at = 0; at < message.size(); at += fragment) {
      const std::size_t size = std::min(fragment, message.size() - at);
      records.insert(records.end(), {22, 3, 1});
      put16(records, size);
      const auto begin = message.begin() + static_cast<std::ptrdiff_t>(at);
      records.insert(records.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
    }
    return records;
  }
};

}  // namespace microagent::wire
