#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "mediator/io.h"
#include "policy/address.h"

namespace microagent::mediator {

// The addresses of a name that the user gave for a service of the host: those of /etc/hosts, else of the resolvers of
// /etc/resolv.conf. No policy judges it, and nothing is kept. The C library's resolver would start a thread and load
// code, which the sandbox forbids; its search domains are not applied. What went wrong where there are none.
asio::awaitable<tl::expected<std::vector<policy::Address>, std::string>> addresses_of_host(std::string name,
                                                                                           Deadline deadline);

}  // namespace microagent::mediator
