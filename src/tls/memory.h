#pragma once

// The memory that OpenSSL works in. It asks for the buffer of a connection anew whenever there is a record to read or
// to write, and gives it back with the last byte (SSL_MODE_RELEASE_BUFFERS): so idle connections are small. But blocks
// of that size, given back to the heap, make it tidy up all its small ones each time. A few of them are kept instead
// for the next connection that needs some.

namespace microagent::tls {

// For the whole process, once, before anything in it uses OpenSSL (CRYPTO_set_mem_functions(3)).
void keep_buffers();

}  // namespace microagent::tls
