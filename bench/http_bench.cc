// What HTTP's engines cost in memory, without sockets and TLS.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "http/body_reader.h"
#include "http/head_reader.h"
#include "http/http2_session.h"
#include "http/secret_mask.h"

namespace microagent::http {
namespace {

ByteView view(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

constexpr std::string_view kRequest =
    "GET /api/v1/items?page=2&size=50 HTTP/1.1\r\nHost: api.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36\r\n"
    "Accept: application/json, text/plain, */*\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
    "Cache-Control: no-cache\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef; theme=dark\r\n"
    "Referer: https://www.example.com/items\r\nX-Request-Id: 5f0c3b9e-3a64-4c6d-9a8f-1b6e1d1c2a3b\r\n\r\n";

void request_heads(benchmark::State& state) {
  RequestReader reader(Scheme::https);
  for (auto _ : state) {
    reader.feed(view(kRequest));
    if (reader.state() != HeadReader::State::complete) return state.SkipWithError("no request");
    benchmark::DoNotOptimize(encode_head(reader.take()));
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kRequest.size()));
}
BENCHMARK(request_heads);

// 1 MiB in chunks, taken 16 KiB at a time as from TLS records.
void chunked_body(benchmark::State& state) {
  std::string text;
  const std::size_t chunk = static_cast<std::size_t>(state.range(0));
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", chunk);
  while (text.size() < 1 << 20) text.append(size).append(chunk, 'x').append("\r\n");
  text += "0\r\n\r\n";
  for (auto _ : state) {
    BodyReader reader({Framing::Kind::chunked, 0});
    for (std::size_t at = 0; at < text.size(); at += 16384) reader.feed(view(std::string_view(text).substr(at, 16384)));
    if (!reader.done()) return state.SkipWithError("no body");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(chunked_body)->Arg(64)->Arg(1024)->Arg(16384);

// JSON without the secret, as nearly all is, 16 KiB at a time.
void secret_mask(benchmark::State& state) {
  const std::vector<std::string> secrets{"sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"};
  const auto forms = std::make_shared<const SecretForms>(secrets);
  std::string text;
  while (text.size() < 16384) {
    text += R"({"id":")" + std::to_string(text.size()) + R"(","object":"chat.completion.chunk","delta":"some words"},)";
  }
  SecretMask mask(forms);
  std::vector<std::uint8_t> out;
  for (auto _ : state) {
    out.clear();
    mask.feed(view(text), out);
    benchmark::DoNotOptimize(out.data());
  }
  if (mask.masked() > 0) return state.SkipWithError("a secret where there is none");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(secret_mask);

struct Peer final : Http2Events {
  explicit Peer(Http2Session::Role role) : session({role, false, {}}, *this) {}
  void on_headers(StreamId stream, HeaderList, bool) override { last = stream; }
  void on_informational(StreamId, HeaderList) override {}
  void on_data(StreamId stream, ByteView bytes, bool) override {
    received += bytes.size();
    session.consume(stream, bytes.size());
  }
  void on_trailers(StreamId, HeaderList) override {}
  void on_sent(StreamId, std::size_t bytes) override { sent += bytes; }
  void on_reset(StreamId, Http2Error) override {}
  void on_closed(StreamId) override {}
  void on_goaway(StreamId, Http2Error) override {}
  void on_settings() override {}
  void on_pong(std::uint64_t) override {}

  void pass_to(Peer& other, std::vector<std::uint8_t>& buffer, std::uint64_t now) {
    buffer.clear();
    session.take_output(buffer);
    other.session.feed(buffer, now);
  }

  StreamId last = 0;
  std::size_t received = 0, sent = 0;
  Http2Session session;
};

const HeaderList kFields{{":method", "GET"},
                         {":scheme", "https"},
                         {":authority", "api.example.com"},
                         {":path", "/api/items"},
                         {"accept", "*/*"},
                         {"user-agent", "a/1.0"},
                         {"x-request-id", "12345"},
                         {"authorization", "Bearer 0123456789abcdef"}};

// Sender and receiver together: what a relay does for a byte, once each.
void http2_data(benchmark::State& state) {
  Peer client(Http2Session::Role::client), server(Http2Session::Role::server);
  std::vector<std::uint8_t> buffer;
  const std::string piece(16384, 'x');
  std::uint64_t now = 1;
  client.pass_to(server, buffer, now);
  server.pass_to(client, buffer, now);
  const auto id = client.session.submit_request(kFields, true);
  client.pass_to(server, buffer, now);
  if (!id || !server.session.submit_response(*id, {{":status", "200"}}, false)) return state.SkipWithError("no stream");
  for (auto _ : state) {
    now += 10'000;
    for (int i = 0; i < 4; ++i) {
      if (!server.session.send_data(*id, view(piece), false)) return state.SkipWithError("queue full");
    }
    server.pass_to(client, buffer, now);
    client.pass_to(server, buffer, now);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(client.received));
}
BENCHMARK(http2_data);

void http2_requests(benchmark::State& state) {
  Peer client(Http2Session::Role::client), server(Http2Session::Role::server);
  std::vector<std::uint8_t> buffer;
  std::uint64_t now = 1;
  for (auto _ : state) {
    now += 10'000;
    const auto id = client.session.submit_request(kFields, true);
    client.pass_to(server, buffer, now);
    if (!id || !server.session.submit_response(*id, {{":status", "200"}, {"content-length", "0"}}, true)) {
      return state.SkipWithError("no stream");
    }
    server.pass_to(client, buffer, now);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(http2_requests);

}  // namespace
}  // namespace microagent::http

BENCHMARK_MAIN();
