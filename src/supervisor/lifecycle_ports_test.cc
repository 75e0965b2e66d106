// The ports that a workspace publishes, as declared and while it runs.

#include "supervisor/test_lifecycle.h"

namespace microagent::supervisor {
namespace {

TEST_F(Lifecycle, CarriesWhoComesToAPublishedPort) {
  manifest_.network.forwards = {{workspace::Transport::tcp, "127.0.0.1", 0, 80},
                                {workspace::Transport::udp, "127.0.0.1", 0, 53}};
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  ASSERT_EQ(running->forwards.size(), 2U);
  const auto tcp = parse_socket_address("127.0.0.1", running->forwards[0].host_port);
  const Fd stream(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(::connect(stream.get(), tcp->get(), tcp->size), 0);
  EXPECT_EQ(read_all(stream.get()), "protocol 6 port 80 first \"\"\n");

  const auto udp = parse_socket_address("127.0.0.1", running->forwards[1].host_port);
  const Fd datagrams(::socket(AF_INET, SOCK_DGRAM, 0));
  ASSERT_EQ(::connect(datagrams.get(), udp->get(), udp->size), 0);
  ASSERT_EQ(::send(datagrams.get(), "hello", 5, 0), 5);
  pollfd wanted{datagrams.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&wanted, 1, 5000), 1);
  std::array<char, 100> answer{};
  const ssize_t size = ::recv(datagrams.get(), answer.data(), answer.size(), 0);
  EXPECT_EQ(std::string(answer.data(), static_cast<std::size_t>(size)), "protocol 17 port 53 first \"hello\"\n");

  ASSERT_TRUE(stop(*store_, kName, seconds(10)));
  EXPECT_TRUE(bind_ports(running->forwards));
}

TEST_F(Lifecycle, PublishesWhatIsDeclaredLater) {
  const workspace::Forward page{workspace::Transport::tcp, "127.0.0.1", 0, 80};
  const workspace::Forward name{workspace::Transport::udp, "127.0.0.1", 0, 53};
  manifest_.network.forwards = {page};
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  const workspace::Forward first = running->forwards.at(0);

  manifest_.network.forwards = {name, page};
  ASSERT_TRUE(store_->replace_manifest(manifest_));
  const auto both = apply_ports(*store_, kName);
  ASSERT_TRUE(both) << both.error().message;
  ASSERT_EQ(both->forwards.size(), 2U);
  EXPECT_EQ(both->forwards[1], first) << "a port that stays is left alone";
  EXPECT_FALSE(bind_ports({both->forwards[0]}));

  manifest_.network.forwards = {name};
  ASSERT_TRUE(store_->replace_manifest(manifest_));
  const auto one = apply_ports(*store_, kName);
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->forwards, std::vector{both->forwards[0]});
  EXPECT_TRUE(bind_ports({first})) << "the host has it again";
  ASSERT_TRUE(stop(*store_, kName, seconds(10)));
  EXPECT_TRUE(bind_ports(one->forwards));
}

TEST_F(Lifecycle, MovesAPortToAnotherOfTheGuests) {
  auto free = bind_ports({{workspace::Transport::tcp, "127.0.0.1", 0, 80}});
  workspace::Forward page = free->front().forward;
  free->clear();
  manifest_.network.forwards = {page};
  ASSERT_TRUE(begin());
  page.guest_port = 81;
  manifest_.network.forwards = {page};
  ASSERT_TRUE(store_->replace_manifest(manifest_));
  const auto moved = apply_ports(*store_, kName);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->forwards, std::vector{page});
  ASSERT_TRUE(stop(*store_, kName, seconds(10)));
}

TEST_F(Lifecycle, KeepsWhatItPublishesWhereTheRestIsTaken) {
  const auto taken = bind_ports({{workspace::Transport::tcp, "127.0.0.1", 0, 80}});
  auto free = bind_ports({{workspace::Transport::tcp, "127.0.0.1", 0, 80}});
  const workspace::Forward page = free->front().forward;
  free->clear();
  manifest_.network.forwards = {page};
  ASSERT_TRUE(begin());
  manifest_.network.forwards = {taken->front().forward};
  ASSERT_TRUE(store_->replace_manifest(manifest_));
  const auto refused = apply_ports(*store_, kName);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("is taken"));
  EXPECT_FALSE(bind_ports({page})) << "what was published still is";
  EXPECT_EQ(store_->load_runtime(kName)->forwards, std::vector{page});
  ASSERT_TRUE(stop(*store_, kName, seconds(10)));
}

TEST_F(Lifecycle, RefusesATakenPortBeforeTheGuestBoots) {
  const auto taken = bind_ports({{workspace::Transport::tcp, "127.0.0.1", 0, 80}});
  ASSERT_TRUE(taken);
  manifest_.network.forwards = {taken->front().forward};
  const auto failed = begin();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::conflict);
  EXPECT_THAT(failed.error().message, HasSubstr(describe(taken->front().forward)));
  EXPECT_THAT(failed.error().message, HasSubstr("process " + std::to_string(::getpid())));
  EXPECT_FALSE(fs::exists(directory() / "console.log"));
}

}  // namespace
}  // namespace microagent::supervisor
