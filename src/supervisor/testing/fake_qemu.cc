// Stands in for QEMU in the supervisor's tests: connects its devices, speaks enough QMP, and ends as the letters tell
// that come over the vsock front end: s powers the guest off, r restarts it. A kernel that says "broken" cannot be
// loaded.

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

// The text behind `prefix` in the argument that begins with it.
std::string argument(const std::vector<std::string>& arguments, std::string_view prefix) {
  for (const std::string& word : arguments) {
    if (word.starts_with(prefix)) return word.substr(prefix.size());
  }
  return {};
}

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  std::perror(path.c_str());
  std::exit(1);
}

std::string kernel_of(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    std::string word;
    if (arguments[i] == "-kernel") std::ifstream(arguments[i + 1]) >> word;
    if (!word.empty()) return word;
  }
  return {};
}

void say(int monitor, std::string_view line) { ::send(monitor, line.data(), line.size(), MSG_NOSIGNAL); }

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (kernel_of(arguments) == "broken") {
    std::fputs("qemu-system-x86_64: could not load kernel\n", stderr);
    return 1;
  }
  const int monitor = std::atoi(argument(arguments, "socket,id=qmp,fd=").c_str());
  const std::string net = argument(arguments, "socket,id=net,path=");
  if (!net.empty()) connect_to(net);
  const int vsock = connect_to(argument(arguments, "socket,id=vsock,path="));
  say(monitor, "{\"QMP\": {}}\r\n");
  std::puts("guest console");
  std::fflush(stdout);
  for (;;) {
    pollfd sources[] = {{monitor, POLLIN, 0}, {vsock, POLLIN, 0}};
    ::poll(sources, 2, -1);
    std::array<char, 4096> text{};
    if (sources[0].revents != 0 && ::read(monitor, text.data(), text.size()) > 0) say(monitor, "{\"return\": {}}\r\n");
    char letter = 0;
    if (sources[1].revents == 0 || ::read(vsock, &letter, 1) <= 0) continue;
    say(monitor, letter == 's' ? "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"}}\n"
                               : "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-reset\"}}\n");
    return 0;
  }
}
