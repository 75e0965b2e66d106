#include "mediator/masked_response.h"

#include <fmt/format.h>

#include <utility>

namespace microagent::mediator {
namespace {

constexpr std::size_t kFullPiece = 16 * 1024;  // a record of TLS

// A body of another length than the upstream's.
void reframe(const http::RequestMessage& request, http::ResponseMessage& response) {
  http::EchoMask::strip_coding(response.headers);
  http::remove_header(response.headers, "transfer-encoding");
  if (request.version == http::Version::http_1_1) {
    response.headers.push_back({"Transfer-Encoding", "chunked"});
    response.version = http::Version::http_1_1;  // whatever the upstream's was
  } else {
    http::remove_header(response.headers, "connection");
    response.headers.push_back({"Connection", "close"});
  }
}

}  // namespace

MaskedResponse::MaskedResponse(Stream& guest, const http::RequestMessage& request, http::ResponseMessage response,
                               http::SecretFormsPtr secrets)
    : guest_(guest),
      request_(request),
      response_(std::move(response)),
      secrets_(std::move(secrets)),
      mask_(secrets_, response_.headers),
      chunked_(response_framing(request_, response_).kind == http::Framing::Kind::chunked) {}

std::string_view MaskedResponse::error() const {
  return mask_.fault() == http::EchoMask::Fault::none ? std::string_view() : mask_.fault_text();
}

asio::awaitable<bool> MaskedResponse::feed(ByteView payload) {
  for (;;) {
    const std::size_t before = body_.size(), taken = mask_.feed(payload, body_);
    payload = payload.subspan(taken);
    if (mask_.fault() != http::EchoMask::Fault::none) co_return false;
    if (taken == 0 && body_.size() == before) co_return true;
    if (body_.size() >= kFullPiece && !co_await flush()) co_return false;
  }
}

asio::awaitable<bool> MaskedResponse::flush() {
  const bool nothing = head_is_out_ ? body_.empty() : mask_.undecided();
  co_return nothing || co_await send({});
}

asio::awaitable<bool> MaskedResponse::finish(http::HeaderList trailers) {
  mask_.finish(body_);
  if (mask_.fault() != http::EchoMask::Fault::none) co_return false;
  mask_headers(secrets_, trailers);
  std::string end = "0\r\n";
  for (const http::Header& trailer : trailers) end += fmt::format("{}: {}\r\n", trailer.name, trailer.value);
  end += "\r\n";
  co_return co_await send(end);
}

// What there is, and in chunks the end behind it.
asio::awaitable<bool> MaskedResponse::send(std::string_view end) {
  if (!std::exchange(head_is_out_, true)) {
    if (mask_.decodes()) {
      reframe(request_, response_);
      chunked_ = request_.version == http::Version::http_1_1;
    }
    head_ = encode_head(response_);
  }
  if (!chunked_) end = {};
  const bool in_chunk = chunked_ && !body_.empty();
  if (in_chunk) head_ += fmt::format("{:x}\r\n", body_.size());
  const std::string_view tail = in_chunk ? "\r\n" : "";
  body_.insert(body_.begin(), head_.begin(), head_.end());
  body_.insert(body_.end(), tail.begin(), tail.end());
  body_.insert(body_.end(), end.begin(), end.end());
  head_.clear();
  const bool sent = body_.empty() || co_await guest_.write_all(body_, kNever);
  body_.clear();
  co_return sent;
}

}  // namespace microagent::mediator
