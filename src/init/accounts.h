#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace microagent::init {

// As whom a process runs.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups{};
  std::string name = "root", home = "/root";

  bool is_root() const { return uid == 0 && gid == 0; }
};

// Reads an image's user, NAME|UID[:GROUP|GID], by the texts of /etc/passwd and /etc/group. A number need not stand in
// them; a name that does not gives nothing. Without a group it is the user's own, and those that count the user in.
std::optional<Identity> find_identity(std::string_view user, std::string_view passwd, std::string_view group);

// The same by the files of this machine.
std::optional<Identity> find_identity(std::string_view user);

// Those whom an /etc/passwd counts as people, not as services: root, and numbers from 1000 on (login.defs(5)), with a
// home of their own. Root is there even if the text does not have it. No more than a few.
std::vector<Identity> find_people(std::string_view passwd);

}  // namespace microagent::init
