#include "supervisor/port_holder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "supervisor/ports.h"

namespace microagent::supervisor {
namespace {

constexpr std::string_view kTable =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 54321 1\n"
    "   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 54322 1\n"
    "nonsense\n";

TEST(ParseSocketTable, ReadsRows) {
  const auto rows = parse_socket_table(kTable);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].port, 8080);
  EXPECT_EQ(rows[0].address, "0100007F");
  EXPECT_TRUE(rows[0].listening);
  EXPECT_EQ(rows[0].inode, 54321U);
  EXPECT_FALSE(rows[1].listening);
}

TEST(ParseSocketTable, StandsEveryPrefix) {
  for (std::size_t size = 0; size < kTable.size(); ++size) {
    EXPECT_LE(parse_socket_table(kTable.substr(0, size)).size(), 2U);
  }
}

TEST(FindPortHolder, FindsUs) {
  for (const auto protocol : {workspace::Transport::tcp, workspace::Transport::udp}) {
    for (const char* host : {"127.0.0.1", "::1"}) {
      const auto ports = bind_ports({{protocol, host, 0, 80}});
      if (!ports) continue;  // a host without IPv6
      const auto holder = find_port_holder(protocol, ports->front().forward.host_port);
      ASSERT_TRUE(holder);
      EXPECT_THAT(*holder, testing::HasSubstr("(process " + std::to_string(::getpid()) + ")"));
    }
  }
}

}  // namespace
}  // namespace microagent::supervisor
