#include "supervisor/port_holder.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace microagent::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kListen = 0x0a;  // TCP_LISTEN of the kernel's states

template <typename T>
std::optional<T> number(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 54321 ..."
std::optional<SocketRow> parse_row(const std::string& line) {
  std::istringstream words(line);
  std::string slot, local, remote, state, queues, timer, retransmits, user, timeout, inode;
  if (!(words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >> inode)) {
    return std::nullopt;
  }
  const std::size_t colon = local.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const auto port = number<std::uint16_t>(std::string_view(local).substr(colon + 1), 16);
  const auto state_number = number<unsigned>(state, 16);
  const auto inode_number = number<std::uint64_t>(inode, 10);
  if (!port || !state_number || !inode_number) return std::nullopt;
  return SocketRow{*port, local.substr(0, colon), *state_number == kListen, *inode_number};
}

std::string read(const fs::path& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

// Whether one of the process's descriptors is the socket. False, too, where we may not look.
bool holds(const fs::path& process, const std::string& socket) {
  std::error_code error;
  fs::directory_iterator descriptors(process / "fd", error);
  for (; !error && descriptors != fs::directory_iterator(); descriptors.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(descriptors->path(), gone) == socket) return true;
  }
  return false;
}

std::optional<std::string> find_process(std::uint64_t inode) {
  const std::string socket = fmt::format("socket:[{}]", inode);
  std::error_code error;
  fs::directory_iterator processes("/proc", error);
  for (; !error && processes != fs::directory_iterator(); processes.increment(error)) {
    const fs::path& process = processes->path();
    const std::string pid = process.filename();
    if (!number<int>(pid, 10) || !holds(process, socket)) continue;
    std::string name = read(process / "comm");
    while (!name.empty() && name.back() == '\n') name.pop_back();
    return fmt::format("{} (process {})", name, pid);
  }
  return std::nullopt;
}

}  // namespace

std::vector<SocketRow> parse_socket_table(std::string_view table) {
  std::vector<SocketRow> rows;
  std::istringstream lines{std::string(table)};
  for (std::string line; std::getline(lines, line);) {
    if (auto row = parse_row(line)) rows.push_back(std::move(*row));
  }
  return rows;
}

std::optional<std::string> find_port_holder(workspace::Transport protocol, std::uint16_t port) {
  const bool tcp = protocol == workspace::Transport::tcp;
  bool seen = false;
  for (const char* table : {tcp ? "tcp" : "udp", tcp ? "tcp6" : "udp6"}) {
    for (const SocketRow& row : parse_socket_table(read(fs::path("/proc/net") / table))) {
      if (row.port != port || (tcp && !row.listening)) continue;
      seen = true;
      if (auto process = find_process(row.inode)) return process;
    }
  }
  if (!seen) return std::nullopt;
  return "a process of another user";
}

}  // namespace microagent::supervisor
