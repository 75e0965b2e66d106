#include "tls/socket_bio.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace microagent::tls {
namespace {

bool passes(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

Socket& socket_of(BIO* bio) { return *static_cast<Socket*>(BIO_get_data(bio)); }

int read_from(BIO* bio, char* into, int size) {
  Socket& socket = socket_of(bio);
  BIO_clear_retry_flags(bio);
  if (std::exchange(socket.drained, false)) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const auto count = recv(socket.fd, into, static_cast<std::size_t>(size), 0);
  if (count == 0) socket.at_end = true;
  socket.drained = count > 0 && count < size;
  if (count < 0 && passes(errno)) BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

int write_to(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const auto count = send(socket_of(bio).fd, bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (count < 0 && passes(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

long control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return socket_of(bio).at_end ? 1 : 0;
  return 0;
}

BIO_METHOD* make_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "microagent socket");
  if (!method) return nullptr;
  BIO_meth_set_read(method, read_from);
  BIO_meth_set_write(method, write_to);
  BIO_meth_set_ctrl(method, control);
  return method;
}

}  // namespace

BioPtr over(Socket& socket) {
  static BIO_METHOD* const method = make_method();
  BioPtr bio(method ? BIO_new(method) : nullptr);
  if (!bio) return bio;
  BIO_set_data(bio.get(), &socket);
  BIO_set_init(bio.get(), 1);
  return bio;
}

}  // namespace microagent::tls
