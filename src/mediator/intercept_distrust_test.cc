// Upstreams that are not to be believed: whatever is wrong with their certificate, the guest hears of it, and it is on
// record.

#include "mediator/test_intercept.h"
#include "tls/alert.h"

namespace microagent::mediator {
namespace {

using tls::testing::kDay;
using tls::testing::Manners;

// A certificate, what it is shown with, and what is wrong with it.
struct Shown {
  Identity identity;
  Manners manners = {};
  std::shared_ptr<const Identity> issuer = nullptr;  // that `manners` speaks of
};

struct Fault {
  const char* name;
  tls::Alert alert;
  Shown (*show)(const Identity& root);
};

Shown revoked(const Identity& root) {
  Identity identity = tls::testing::make({.names = "DNS:good.example"}, &root);
  Manners manners;
  manners.staple = tls::testing::make_staple(identity, root, root, true);
  return {std::move(identity), std::move(manners)};
}

Shown signed_weakly(const Identity& root) {
  auto middle = std::make_shared<const Identity>(
      tls::testing::make({.common_name = "weak", .names = "", .authority = true, .digest = EVP_sha1()}, &root));
  return {tls::testing::make({.names = "DNS:good.example"}, middle.get()), {.chain = {middle.get()}}, middle};
}

Shown with(const tls::testing::Wish& wish, const Identity* issuer) { return {tls::testing::make(wish, issuer)}; }

constexpr const char* kGood = "DNS:good.example";

const Fault kFaults[] = {
    {"expired", tls::Alert::certificate_expired,
     [](const Identity& root) { return with({.names = kGood, .begin = -9 * kDay, .end = -kDay}, &root); }},
    {"not-yet-valid", tls::Alert::bad_certificate,
     [](const Identity& root) { return with({.names = kGood, .begin = kDay}, &root); }},
    {"wrong-name", tls::Alert::bad_certificate,
     [](const Identity& root) { return with({.names = "DNS:evil.example"}, &root); }},
    {"self-signed", tls::Alert::unknown_ca, [](const Identity&) { return with({.names = kGood}, nullptr); }},
    {"unknown-issuer", tls::Alert::unknown_ca,
     [](const Identity&) {
       const Identity stranger = tls::testing::make_root("a stranger");
       return with({.names = kGood}, &stranger);
     }},
    {"revoked", tls::Alert::certificate_revoked, revoked},
    {"too-weak", tls::Alert::bad_certificate, signed_weakly},
    {"invalid", tls::Alert::bad_certificate,
     [](const Identity& root) { return with({.names = kGood, .purposes = "clientAuth"}, &root); }},
};

class InterceptDistrustTest : public InterceptTest, public testing::WithParamInterface<Fault> {
 protected:
  void show() {
    const Shown shown = GetParam().show(root_);
    upstream_context_ = tls::testing::make_server(shown.identity, shown.manners);
    serve(upstream_context_.get());
    take_splice();
  }
  audit::Fields record() {
    const auto all = records(2);
    EXPECT_EQ(all[1]["event"], "egress_mitm_upstream_error");
    EXPECT_EQ(all[1]["host"], kName);
    return all[1];
  }
};

// A client that offers no protocol may not read pages.
TEST_P(InterceptDistrustTest, IsAnAlert) {
  start();
  begin({});
  show();
  const auto done = shake_hands();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().alert, static_cast<std::uint8_t>(GetParam().alert)) << done.error().text;
  EXPECT_EQ(record()["fault"], GetParam().name);
}

// One that reads them gets our certificate, since there is no other, and nothing of what it says goes on.
TEST_P(InterceptDistrustTest, IsAPageThatSaysWhy) {
  start();
  begin({"h2", "http/1.1"});
  show();
  ASSERT_TRUE(shake_hands());
  EXPECT_EQ(guest_->alpn(), "http/1.1");
  write(*guest_, "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n");
  const std::string page = until_end(*guest_);
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ")) << page;
  const audit::Fields told = record();
  EXPECT_EQ(told["fault"], GetParam().name);
  EXPECT_NE(page.find(told["error"].get<std::string>()), std::string::npos) << page;
}

INSTANTIATE_TEST_SUITE_P(All, InterceptDistrustTest, testing::ValuesIn(kFaults), [](const auto& info) {
  std::string name = info.param.name;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace microagent::mediator
