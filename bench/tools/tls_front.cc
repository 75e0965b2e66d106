// tls_front PORT UPSTREAM_PORT NAME ROOT DIRECTORY [SECRET]: the mediator's interception at TCP port PORT of
// loopback, for measurements (bench/tls.py): both handshakes, the relays, each request judged and written down. In a
// workspace netd brings the flows, and their first bytes say for whom they are; here every connection is for NAME,
// which is at UPSTREAM_PORT of loopback and verified by the certificates of the file ROOT. A connection begins with
// the versions of HTTP that its client offers, as in the mediator. The audit log goes into DIRECTORY, and so does
// authority.pem, whom clients are to trust. Where a file SECRET is given, what it holds goes into every request as
// its Authorization, by a credential swap (bench/swap.py).

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/check.h"
#include "credentials/process.h"
#include "http/secret_placement.h"
#include "mediator/dial.h"
#include "mediator/first_words.h"
#include "mediator/guest_http.h"
#include "mediator/interceptor.h"
#include "mediator/live_policy.h"
#include "mediator/recorder.h"
#include "mediator/relay.h"
#include "mediator/swapper.h"
#include "mediator/upstream_pool.h"
#include "tls/memory.h"

namespace microagent::mediator {
namespace {

struct Setting {
  std::uint16_t port = 0, upstream = 0;
  std::string name, root;
  std::filesystem::path directory;
  std::string secret;  // a file; empty: no swap
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class Front {
 public:
  Front(asio::io_context& io, Setting setting, Interceptor interceptor, LivePolicy policy, audit::Writer log,
        std::unique_ptr<Swapper> swapper)
      : io_(io),
        setting_(std::move(setting)),
        interceptor_(std::move(interceptor)),
        policy_(std::move(policy)),
        recorder_(std::move(log)),
        swapper_(std::move(swapper)),
        swap_(swapper_ ? swapper_->find(setting_.name) : nullptr),
        pool_(io.get_executor()) {
    recorder_.set_on_later([this] { asio::post(io_, [this] { recorder_.flush(); }); });
  }

  asio::awaitable<void> listen() {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_in address = loopback(setting_.port);
    const int on = 1;
    MICROAGENT_CHECK(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    MICROAGENT_CHECK(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    MICROAGENT_CHECK(::listen(socket.get(), 1024) == 0);
    auto watched = watch(io_.get_executor(), std::move(socket));
    MICROAGENT_CHECK(watched);
    for (;;) {
      Fd client(::accept4(watched->native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (client) {
        MICROAGENT_CHECK(::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
        spawn(io_.get_executor(), serve(std::move(client)));
        continue;
      }
      if (co_await wait_readable(*watched, kNever) != Wait::ready) co_return;
    }
  }

 private:
  // As the mediator's own, which is of its flows.
  class Gate final : public RequestGate {
   public:
    Gate(Front& front, std::uint64_t flow, UpstreamConnection& upstream, bool reused, const UpstreamKey& key)
        : front_(front), flow_(flow), upstream_(upstream), reused_(reused), key_(key) {}

    bool upstream_is_reused() const override { return reused_; }
    asio::awaitable<Replacement> replace_upstream() override {
      upstream_ = {co_await front_.connect(key_.alpn)};
      if (!upstream_) co_return no_upstream("the upstream takes no connection");
      co_return upstream_.stream.get();
    }
    std::optional<http::Http2Session> take_session() override { return std::exchange(upstream_.http2, std::nullopt); }
    void leave_session(http::Http2Session session) override {
      session.detach();
      upstream_.http2 = std::move(session);
    }
    void leave_upstream_clean() override { clean_ = true; }
    bool left_clean() const { return clean_ && upstream_; }

    std::optional<Refused> admit(http::RequestMessage& request, RequestStory&) override {
      const auto decision = policy::decide_request(front_.policy_.policy(), front_.surroundings_, front_.facts_,
                                                   {request.method, request.path});
      if (decision.allowed()) return std::nullopt;
      return Refused{403, decision.text, decision.text};
    }
    Refused refuse_malformed(const std::string& fault, bool) override { return {400, fault, fault}; }
    Refused upstream_failed(const std::string& why, bool) override { return {502, why, why}; }
    void record(const RequestStory& story) override {
      Record record{audit::Event::request, audit::Fields::object()};
      record.fields.get_ref<audit::Fields::object_t&>().reserve(8);
      const auto took = std::chrono::steady_clock::now() - story.began;
      record.fields["method"] = story.method;
      record.fields["host"] = story.host;
      record.fields["path"] = story.path;
      record.fields["status"] = story.status;
      record.fields["bytesOut"] = story.bytes_out;
      record.fields["bytesIn"] = story.bytes_in;
      record.fields["durationMs"] = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
      if (!story.swap.empty()) record.fields["swap"] = story.swap;
      if (!story.error.empty()) record.fields["error"] = story.error;
      front_.recorder_.write_later(flow_, record);
    }

    bool lacks_credential(const http::RequestMessage& request) override {
      return front_.swap_ && http::wants_secret(request, front_.swap_->placement) &&
             !front_.swapper_->at_hand(*front_.swap_);
    }
    asio::awaitable<void> obtain_credential() override {
      const auto obtained = co_await front_.swapper_->obtain(front_.swap_);
      if (!obtained) report(obtained.error().message);
    }
    std::optional<Refused> equip(http::RequestMessage& request, RequestStory& story) override {
      if (!front_.swap_) return std::nullopt;
      http::ask_readable(request, front_.swap_->placement);
      const auto credential = front_.swapper_->at_hand(*front_.swap_);
      if (!credential || !http::place_secret(request, front_.swap_->placement, credential->secret->view())) {
        return Refused{502, "no credential", "no credential"};
      }
      story.swap = front_.swap_->name;
      story.credential = credential->version;
      story.carried = credential->secret;
      front_.swapper_->send(*front_.swap_, *credential);
      return std::nullopt;
    }
    http::SecretFormsPtr secrets(const RequestStory& story) override {
      return front_.swap_ ? front_.swapper_->secrets(*front_.swap_, story) : http::SecretFormsPtr();
    }

   private:
    Front& front_;
    std::uint64_t flow_;
    UpstreamConnection& upstream_;
    bool reused_, clean_ = false;
    const UpstreamKey& key_;
  };

  // A new connection to the upstream; null where there is none.
  asio::awaitable<std::unique_ptr<TlsStream>> connect(std::vector<std::string> alpn) {
    auto dialled = co_await dial({flow::Protocol::tcp, facts_.destination, setting_.upstream}, in(kDialTimeout));
    if (!dialled) co_return nullptr;
    auto watched = watch(io_.get_executor(), std::move(*dialled));
    if (!watched) co_return nullptr;
    auto connected = co_await interceptor_.connect(std::move(*watched), setting_.name, "127.0.0.1", std::move(alpn));
    if (connected) co_return std::move(*connected);
    report(connected.error().text);
    co_return nullptr;
  }

  // What the client offers, from its ClientHello, which stays where it is.
  static asio::awaitable<std::vector<std::string>> offered(Descriptor& client) {
    std::array<std::uint8_t, 16'384> bytes;
    for (ssize_t before = 0;;) {
      if (co_await wait_readable(client, in(kHandshakeTimeout)) != Wait::ready) co_return std::vector<std::string>();
      const ssize_t count = ::recv(client.native_handle(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
      if (count <= before) co_return std::vector<std::string>();
      WordsReader reader;
      reader.feed(ByteView(bytes).first(static_cast<std::size_t>(count)));
      if (reader.settled()) co_return reader.words().alpn;
      before = count;
    }
  }

  asio::awaitable<void> serve(Fd socket) {
    auto client = watch(io_.get_executor(), std::move(socket));
    if (!client) co_return;
    const UpstreamKey key{setting_.name, "127.0.0.1", co_await offered(*client)};
    auto upstream = pool_.take(key, [](const UpstreamConnection&) { return true; });
    const bool reused = static_cast<bool>(upstream);
    if (!reused) upstream = {co_await connect(key.alpn)};
    if (!upstream) co_return;
    const std::uint64_t flow = recorder_.new_flow();
    recorder_.write(flow, record_of(audit::Event::allow));
    const std::string protocol(upstream.stream->connection().alpn());
    auto guest = co_await interceptor_.accept(std::move(*client), setting_.name, protocol);
    if (guest) {
      Gate gate(*this, flow, upstream, reused, key);
      co_await (protocol == "h2" ? relay_http2(**guest, *upstream.stream, http::Scheme::https, gate)
                                 : relay_http1(**guest, *upstream.stream, http::Scheme::https, gate));
      if (gate.left_clean()) pool_.put(key, std::move(upstream));
      upstream = {};
      co_await part_from((*guest)->descriptor());
    } else {
      report(guest.error().text);
    }
    recorder_.write(flow, record_of(audit::Event::close));
  }

  Record record_of(audit::Event event) const {
    Record record{event, audit::Fields::object()};
    record.fields["host"] = setting_.name;
    record.fields["dst"] = "127.0.0.1";
    record.fields["proto"] = "tcp";
    return record;
  }

  static void report(const std::string& why) { std::fprintf(stderr, "tls_front: %s\n", why.c_str()); }

  asio::io_context& io_;
  Setting setting_;
  Interceptor interceptor_;
  LivePolicy policy_;
  Recorder recorder_;
  std::unique_ptr<Swapper> swapper_;
  policy::SwapPtr swap_;  // null: none
  UpstreamPool pool_;
  policy::Surroundings surroundings_;
  policy::Facts facts_{.destination = policy::Address::ipv4({127, 0, 0, 1}),
                       .port = setting_.upstream,
                       .bound_names = {setting_.name},
                       .content = policy::Content::tls,
                       .name = setting_.name};
};

policy::SwapSet swaps_of(const Setting& setting) {
  if (setting.secret.empty()) return {};
  nlohmann::json fields = {{"type", "static"}, {"format", "Bearer {key}"}, {"key_ref", "file:" + setting.secret}};
  fields["domains"] = {setting.name};
  auto swaps = policy::SwapSet::compile({{"bench", "", std::move(fields), {}}});
  MICROAGENT_CHECK(swaps);
  return std::move(*swaps);
}

int run(Setting setting) {
  tls::keep_buffers();
  const policy::SwapSet swaps = swaps_of(setting);
  Fd socket;
  if (!swaps.empty()) socket = credentials::start_process({swaps, -1, {}}).value();
  rlimit files{};
  MICROAGENT_CHECK(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = files.rlim_max;
  MICROAGENT_CHECK(::setrlimit(RLIMIT_NOFILE, &files) == 0);
  asio::io_context io(1);
  auto authority = tls::Authority::make("bench");
  MICROAGENT_CHECK(authority);
  std::ofstream(setting.directory / "authority.pem") << authority->certificate_pem();
  std::ifstream root(setting.root);
  const std::string trusted((std::istreambuf_iterator<char>(root)), {});
  auto interceptor = Interceptor::make(std::move(*authority), {.system = {}, .extra = {trusted}});
  policy::PolicyText text;
  text.mode = policy::Mode::mitm;
  text.allow.push_back(policy::rule_text(setting.name));
  auto policy = LivePolicy::make(text);
  auto log = audit::Writer::open(setting.directory / "egress.jsonl", "bench");
  MICROAGENT_CHECK(interceptor && policy && log);
  std::unique_ptr<Swapper> swapper;
  if (socket) swapper = Swapper::open(io.get_executor(), swaps, std::move(socket)).value();
  Front front(io, std::move(setting), std::move(*interceptor), std::move(*policy), std::move(*log), std::move(swapper));
  spawn(io.get_executor(), front.listen());
  io.run();
  return 0;
}

}  // namespace
}  // namespace microagent::mediator

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::fputs("usage: tls_front PORT UPSTREAM_PORT NAME ROOT DIRECTORY [SECRET]\n", stderr);
    return 2;
  }
  const auto number = [&](int at) { return static_cast<std::uint16_t>(std::strtoul(argv[at], nullptr, 10)); };
  return microagent::mediator::run({number(1), number(2), argv[3], argv[4], argv[5], argc > 6 ? argv[6] : ""});
}
