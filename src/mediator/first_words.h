#pragma once

// What a guest's first bytes say of whom a flow is for: a TLS client's hello, an HTTP/1 request or the first of an
// HTTP/2 connection, or none of these. Fed in whatever pieces they come.

#include <memory>
#include <string>
#include <vector>

#include "http/http2_head.h"
#include "http/request_head.h"
#include "policy/decision.h"
#include "wire/client_hello.h"

namespace microagent::mediator {

struct FirstWords {
  policy::Content content = policy::Content::unseen;
  std::string name;   // SNI or Host without its port, as sent; empty: none was
  std::string fault;  // what makes it ambiguous, for people; empty where nothing does
  std::vector<std::string> alpn;
  bool encrypted_hello = false;  // ECH, or a client that greases
  bool http_1_0 = false, wants_json = false;
};

class WordsReader {
 public:
  // True once the words are settled; bytes that come later change nothing.
  bool feed(ByteView bytes);
  // What is not settled is no whole hello or request and will not become one.
  void give_up();

  bool settled() const { return words_.content != policy::Content::unseen; }
  // An HTTP/2 client that has sent no request may be waiting for the server's settings first.
  bool waits_for_server() const { return readers_ && !settled() && readers_->http2.has_preface(); }
  const FirstWords& words() const { return words_; }

 private:
  // Gone once the words are settled.
  struct Readers {
    wire::ClientHelloReader tls;
    http::Http2HeadReader http2;
    http::RequestHeadReader http1;
  };

  void settle();
  void settle_tls();
  void settle_http2();
  void settle_http1();
  void settle_as(policy::Content content, std::string fault = {});

  std::unique_ptr<Readers> readers_ = std::make_unique<Readers>();
  FirstWords words_;
};

}  // namespace microagent::mediator
