#include "wire/guest_config.h"

#include <gtest/gtest.h>

namespace microagent::wire {
namespace {

GuestConfig sample_config() {
  GuestConfig config;
  config.hostname = "web";
  config.network = GuestNetwork{"02:00:00:00:00:01",
                                "192.168.64.2/24",
                                "192.168.64.1",
                                {"192.168.64.1", "2001:db8::53"},
                                {"0.0.0.0/0 via 192.168.64.1"},
                                "2001:db8::2/64",
                                "fe80::1"};
  config.env = {"A=1", "LINES=two\nlines\twith 100%", "EMPTY=", "UTF=\xc3\xa4"};
  config.entrypoint = "httpd -f\nexit 1";
  config.command = {"/bin/tool", "", "two\nlines"};
  config.image_env = {"FROM=image"};
  config.user = "web:www";
  config.workdir = "/srv";
  config.init = "/sbin/init";
  config.stop_signal = 37;
  config.root_disk = true;
  config.volumes = {"/data", "/a b"};
  return config;
}

GuestFacts sample_facts() {
  return {"192.168.64.2/24",
          "192.168.64.0/24",
          "192.168.64.1",
          {"192.168.64.1", "2001:db8::53"},
          {"0.0.0.0/0 via 192.168.64.1", "::/0 via fe80::1"},
          "2001:db8::2/64",
          "fe80::1",
          {{"kernel", 400'000}, {"modules of the channel", 4'294'967'295}}};
}

TEST(GuestConfig, SurvivesTheRoundTrip) {
  const auto parsed = parse_guest_config(encode_guest_config(sample_config()));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->hostname, "web");
  EXPECT_EQ(parsed->env, sample_config().env);
  EXPECT_EQ(parsed->entrypoint, sample_config().entrypoint);
  ASSERT_TRUE(parsed->network);
  EXPECT_EQ(parsed->network->mac, "02:00:00:00:00:01");
  EXPECT_EQ(parsed->network->ip, "192.168.64.2/24");
  EXPECT_EQ(parsed->network->gateway, "192.168.64.1");
  EXPECT_EQ(parsed->network->dns, sample_config().network->dns);
  EXPECT_EQ(parsed->network->routes, sample_config().network->routes);
  EXPECT_EQ(parsed->network->ip6, "2001:db8::2/64");
  EXPECT_EQ(parsed->network->gateway6, "fe80::1");
  EXPECT_EQ(parsed->command, sample_config().command);
  EXPECT_EQ(parsed->image_env, sample_config().image_env);
  EXPECT_EQ(parsed->user, "web:www");
  EXPECT_EQ(parsed->workdir, "/srv");
  EXPECT_EQ(parsed->init, "/sbin/init");
  EXPECT_EQ(parsed->stop_signal, 37U);
  EXPECT_TRUE(parsed->root_disk);
  EXPECT_EQ(parsed->volumes, sample_config().volumes);
}

TEST(GuestConfig, RefusesWhatAnImageCannotBe) {
  for (const char* text : {"stop-signal=0\n", "stop-signal=65\n", "stop-signal=x\n", "stop-signal=9\nstop-signal=9\n",
                           "root=disk\nroot=disk\n", "root=memory\n", "user=a\nuser=b\n", "init=\n", "workdir=\n",
                           "volume=/1\nvolume=/2\nvolume=/3\nvolume=/4\nvolume=/5\n", "image.env\n", "images=x\n"}) {
    EXPECT_FALSE(parse_guest_config(text)) << text;
  }
}

TEST(GuestConfig, IsolatedHasNoNetworkAtAll) {
  GuestConfig config;
  config.hostname = "alone";
  EXPECT_EQ(encode_guest_config(config), "hostname=alone\n");
  EXPECT_FALSE(parse_guest_config(encode_guest_config(config))->network);
}

TEST(GuestConfig, EscapesWhatWouldBreakALine) {
  GuestConfig config;
  config.entrypoint = std::string("a%\n\x7f") + '\0';
  EXPECT_EQ(encode_guest_config(config), "entrypoint=a%25%0a%7f%00\n");
  EXPECT_EQ(parse_guest_config(encode_guest_config(config))->entrypoint, config.entrypoint);
}

TEST(GuestConfig, RefusesALineThatIsCut) {
  const std::string text = encode_guest_config(sample_config());
  for (std::size_t length = 0; length < text.size(); ++length) {
    const std::string_view prefix = std::string_view(text).substr(0, length);
    const bool whole_lines = prefix.empty() || prefix.ends_with('\n');
    EXPECT_EQ(parse_guest_config(prefix).has_value(), whole_lines) << length;
  }
}

TEST(GuestConfig, RefusesUnknownKeysRepetitionsAndBadEscapes) {
  for (const char* text :
       {"colour=red\n", "network.colour=red\n", "network.=x\n", "hostname=a\nhostname=b\n", "hostname=\n", "hostname\n",
        "hostname=%\n", "hostname=%4\n", "hostname=%4g\n", "hostname=% 1\n", "hostname=a\tb\n", "\n"}) {
    EXPECT_FALSE(parse_guest_config(text)) << text;
  }
}

TEST(GuestConfig, ListsHaveLimits) {
  GuestConfig config = sample_config();
  config.network->dns.assign(kMaxGuestDns, "192.0.2.1");
  config.network->routes.assign(kMaxGuestRoutes, "192.0.2.0/24 via 192.168.64.1");
  EXPECT_TRUE(parse_guest_config(encode_guest_config(config)));
  config.network->dns.emplace_back("192.0.2.1");
  EXPECT_FALSE(parse_guest_config(encode_guest_config(config)));
  config.network->dns.pop_back();
  config.network->routes.emplace_back("192.0.2.0/24 via 192.168.64.1");
  EXPECT_FALSE(parse_guest_config(encode_guest_config(config)));
}

TEST(GuestFacts, SurviveTheRoundTrip) {
  const GuestFacts facts = sample_facts();
  const auto parsed = parse_guest_facts(encode_guest_facts(facts));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->ip, facts.ip);
  EXPECT_EQ(parsed->subnet, facts.subnet);
  EXPECT_EQ(parsed->gateway, facts.gateway);
  EXPECT_EQ(parsed->dns, facts.dns);
  EXPECT_EQ(parsed->routes, facts.routes);
  EXPECT_EQ(parsed->ip6, facts.ip6);
  EXPECT_EQ(parsed->gateway6, facts.gateway6);
  EXPECT_EQ(parsed->stages, facts.stages);
}

TEST(GuestFacts, RefuseALineThatIsCut) {
  const std::string text = encode_guest_facts(sample_facts());
  for (std::size_t length = 0; length < text.size(); ++length) {
    const std::string_view prefix = std::string_view(text).substr(0, length);
    const bool whole_lines = prefix.empty() || prefix.ends_with('\n');
    EXPECT_EQ(parse_guest_facts(prefix).has_value(), whole_lines) << length;
  }
}

TEST(GuestFacts, RefuseWhatIsNoAddress) {
  for (const char* text : {"ip=evil\n",
                           "ip=192.168.64.2\n",
                           "ip=192.168.64.2/33\n",
                           "ip=192.168.64.2/\n",
                           "ip=192.168.64.2/024\n",
                           "ip=192.168.64.2/24 \n",
                           "ip=::1/64\n",
                           "ip=192.168.64.2%00/24\n",
                           "subnet=192.168.64.0\n",
                           "gateway=host\n",
                           "gateway=192.168.64.1/24\n",
                           "gateway=::1\n",
                           "gateway=192.168.064.1\n",
                           "ip6=192.168.64.2/24\n",
                           "ip6=::1/129\n",
                           "gateway6=fe80::1%25eth0\n",
                           "dns=resolver\n",
                           "dns=192.0.2.1%0a\n",
                           "route=192.0.2.0/24\n",
                           "route=192.0.2.0/24 via\n",
                           "route=192.0.2.0/24 via ::1\n",
                           "route=::/0 via 192.0.2.1\n",
                           "route=evil via evil\n",
                           "hostname=web\n",
                           "stage=\n",
                           "stage=kernel\n",
                           "stage=12\n",
                           "stage=12 \n",
                           "stage=-1 kernel\n",
                           "stage=4294967296 kernel\n",
                           "stage=12 Kernel\n",
                           "stage=12 a%0ab\n",
                           "stage=12 a name that goes on for far too long\n",
                           "ip=192.0.2.1/24\nip=192.0.2.2/24\n"}) {
    EXPECT_FALSE(parse_guest_facts(text)) << text;
  }
  EXPECT_TRUE(parse_guest_facts(""));
  EXPECT_TRUE(parse_guest_facts("ip=192.0.2.1/0\nroute=0.0.0.0/0 via 192.0.2.2\n"));
}

TEST(GuestFacts, ListsHaveLimits) {
  GuestFacts facts = sample_facts();
  facts.dns.assign(kMaxGuestDns, "192.0.2.1");
  facts.routes.assign(kMaxGuestRouteFacts, "192.0.2.0/24 via 192.0.2.1");
  EXPECT_TRUE(parse_guest_facts(encode_guest_facts(facts)));
  facts.dns.emplace_back("192.0.2.1");
  EXPECT_FALSE(parse_guest_facts(encode_guest_facts(facts)));
  facts.dns.pop_back();
  facts.routes.emplace_back("192.0.2.0/24 via 192.0.2.1");
  EXPECT_FALSE(parse_guest_facts(encode_guest_facts(facts)));
  facts.routes.pop_back();
  facts.stages.assign(kMaxBootStages, {"kernel", 1});
  EXPECT_TRUE(parse_guest_facts(encode_guest_facts(facts)));
  facts.stages.push_back({"kernel", 1});
  EXPECT_FALSE(parse_guest_facts(encode_guest_facts(facts)));
}

}  // namespace
}  // namespace microagent::wire
