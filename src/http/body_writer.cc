#include "http/body_writer.h"

#include <fmt/format.h>

#include <iterator>

namespace microagent::http {

void BodyWriter::append(std::vector<std::uint8_t>& out, ByteView payload) const {
  if (payload.empty()) return;  // an empty chunk is the last one
  if (chunked_) fmt::format_to(std::back_inserter(out), "{:x}\r\n", payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
  if (chunked_) out.insert(out.end(), {'\r', '\n'});
}

void BodyWriter::finish(std::vector<std::uint8_t>& out, const HeaderList& trailers) const {
  if (!chunked_) return;
  fmt::format_to(std::back_inserter(out), "0\r\n");
  for (const Header& trailer : trailers) {
    fmt::format_to(std::back_inserter(out), "{}: {}\r\n", trailer.name, trailer.value);
  }
  out.insert(out.end(), {'\r', '\n'});
}

}  // namespace microagent::http
