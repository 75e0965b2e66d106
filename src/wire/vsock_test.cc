#include "wire/vsock.h"

#include <gtest/gtest.h>

namespace microagent::wire {
namespace {

constexpr std::uint64_t kGuest = 7;

VsockHeader data_packet(std::uint32_t length) {
  VsockHeader header;
  header.source_cid = kGuest;
  header.destination_cid = 2;
  header.source_port = 1024;
  header.destination_port = 80;
  header.length = length;
  header.type = kVsockStream;
  header.op = static_cast<std::uint16_t>(VsockOp::rw);
  return header;
}

TEST(Vsock, HeaderLiesOnTheWireAsTheSpecificationSays) {
  const VsockHeader header = data_packet(0x01020304);
  const ByteView bytes = bytes_of(header);
  EXPECT_EQ(bytes[0], kGuest);
  EXPECT_EQ(bytes[8], 2);
  EXPECT_EQ(bytes[24], 0x04);
  EXPECT_EQ(bytes[27], 0x01);
  EXPECT_EQ(bytes[28], kVsockStream);
  EXPECT_EQ(bytes[30], 5);
}

TEST(Vsock, AcceptsDataUpToTheBuffer) {
  EXPECT_EQ(check_vsock_header(data_packet(100), kGuest, 100, false), VsockError::none);
  EXPECT_EQ(check_vsock_header(data_packet(101), kGuest, 100, false), VsockError::length_past_buffer);
  EXPECT_EQ(check_vsock_header(data_packet(0xffffffff), kGuest, 100, false), VsockError::length_past_buffer);
}

TEST(Vsock, RefusesForeignAddresses) {
  VsockHeader header = data_packet(0);
  header.source_cid = kGuest + 1;
  EXPECT_EQ(check_vsock_header(header, kGuest, 0, false), VsockError::wrong_source);
  header = data_packet(0);
  header.destination_cid = 3;
  EXPECT_EQ(check_vsock_header(header, kGuest, 0, false), VsockError::wrong_destination);
}

TEST(Vsock, RefusesUnknownTypesAndOperations) {
  VsockHeader header = data_packet(0);
  for (const unsigned type : {0U, 2U, 3U, 0xffffU}) {
    header.type = static_cast<std::uint16_t>(type);
    EXPECT_EQ(check_vsock_header(header, kGuest, 0, false), VsockError::unknown_type) << type;
    const VsockError when_negotiated = type == kVsockSeqpacketType ? VsockError::none : VsockError::unknown_type;
    EXPECT_EQ(check_vsock_header(header, kGuest, 0, true), when_negotiated) << type;
  }
  for (const unsigned op : {0U, 8U, 0xffffU}) {
    header = data_packet(0);
    header.op = static_cast<std::uint16_t>(op);
    EXPECT_EQ(check_vsock_header(header, kGuest, 0, false), VsockError::unknown_op) << op;
  }
}

TEST(Vsock, RefusesDataOnControlPackets) {
  VsockHeader header = data_packet(1);
  header.op = static_cast<std::uint16_t>(VsockOp::request);
  EXPECT_EQ(check_vsock_header(header, kGuest, 1, false), VsockError::length_without_data);
}

}  // namespace
}  // namespace microagent::wire
