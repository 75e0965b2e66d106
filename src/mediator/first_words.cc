#include "mediator/first_words.h"

#include <fmt/format.h>

namespace microagent::mediator {
namespace {

using policy::Content;

std::string name_of(const std::optional<http::Authority>& authority) {
  if (!authority) return {};
  return authority->address ? policy::to_string(*authority->address) : authority->host;
}

}  // namespace

bool WordsReader::feed(ByteView bytes) {
  if (settled()) return true;
  readers_->tls.feed(bytes);
  readers_->http2.feed(bytes);
  readers_->http1.feed(bytes);
  settle();
  return settled();
}

void WordsReader::give_up() {
  if (!settled()) settle_as(Content::opaque);
}

// A protocol's reader says that the bytes are another's as soon as one byte differs, so at most one of the three is
// left after a few.
void WordsReader::settle() {
  using Tls = wire::ClientHelloReader;
  using Http2 = http::Http2HeadReader;
  if (readers_->tls.state() != Tls::State::failed || readers_->tls.fault() != wire::ClientHelloFault::not_tls) {
    return settle_tls();
  }
  if (readers_->http2.state() != Http2::State::failed || readers_->http2.has_preface()) return settle_http2();
  settle_http1();
}

void WordsReader::settle_tls() {
  using State = wire::ClientHelloReader::State;
  const wire::ClientHelloReader& reader = readers_->tls;
  if (reader.state() == State::incomplete) return;
  if (reader.state() == State::failed) return settle_as(Content::tls, std::string(to_string(reader.fault())));
  words_.name = reader.hello().server_name;
  words_.alpn = reader.hello().alpn;
  words_.encrypted_hello = reader.hello().encrypted;
  settle_as(Content::tls);
}

void WordsReader::settle_http2() {
  using State = http::Http2HeadReader::State;
  const http::Http2HeadReader& reader = readers_->http2;
  if (reader.state() == State::incomplete) return;
  if (reader.state() == State::failed) return settle_as(Content::http2, std::string(to_string(reader.fault())));
  words_.name = name_of(reader.head().authority);
  settle_as(Content::http2);
}

void WordsReader::settle_http1() {
  using State = http::RequestHeadReader::State;
  const http::RequestHeadReader& reader = readers_->http1;
  if (reader.state() == State::incomplete) return;
  if (reader.state() == State::failed) {
    if (reader.fault() == http::HeadFault::not_http) return settle_as(Content::opaque);
    return settle_as(Content::http1, std::string(to_string(reader.fault())));
  }
  words_.name = name_of(reader.head().authority);
  words_.http_1_0 = reader.head().http_1_0;
  words_.wants_json = reader.head().wants_json;
  settle_as(Content::http1);
}

void WordsReader::settle_as(Content content, std::string fault) {
  words_.content = content;
  words_.fault = std::move(fault);
  readers_.reset();
}

}  // namespace microagent::mediator
