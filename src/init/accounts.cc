#include "init/accounts.h"

#include <algorithm>
#include <charconv>

#include "init/files.h"

namespace microagent::init {
namespace {

constexpr std::size_t kMaxGroups = 1024;
constexpr uid_t kFirstPerson = 1000, kLastPerson = 60'000;
constexpr std::size_t kMaxPeople = 64;

std::string_view take(std::string_view& text, char end) {
  const std::size_t place = text.find(end);
  const std::string_view part = text.substr(0, place);
  text.remove_prefix(place == std::string_view::npos ? text.size() : place + 1);
  return part;
}

std::optional<std::uint32_t> number_of(std::string_view digits) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  // The last number means nobody to the kernel.
  if (error != std::errc() || end != digits.data() + digits.size() || number == UINT32_MAX) return std::nullopt;
  return number;
}

// NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL
struct User {
  std::string_view name, home;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Calls with each user until it is told to stop.
template <typename Visit>
void for_each_user(std::string_view passwd, Visit visit) {
  while (!passwd.empty()) {
    std::string_view line = take(passwd, '\n');
    const std::string_view name = take(line, ':');
    take(line, ':');
    const auto uid = number_of(take(line, ':')), gid = number_of(take(line, ':'));
    take(line, ':');
    if (uid && gid && !visit(User{name, take(line, ':'), *uid, *gid})) return;
  }
}

std::optional<User> find_user(std::string_view passwd, std::string_view wanted) {
  const auto wanted_number = number_of(wanted);
  std::optional<User> found;
  for_each_user(passwd, [&](const User& user) {
    if (user.name == wanted || user.uid == wanted_number) found = user;
    return !found;
  });
  return found;
}

// Calls with each group's name, number and members: NAME:PASSWORD:GID:USER,USER
template <typename Visit>
void for_each_group(std::string_view group, Visit visit) {
  while (!group.empty()) {
    std::string_view line = take(group, '\n');
    const std::string_view name = take(line, ':');
    take(line, ':');
    if (const auto gid = number_of(take(line, ':'))) visit(name, *gid, line);
  }
}

bool counts_in(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    if (take(members, ',') == name) return true;
  }
  return false;
}

std::optional<gid_t> find_group(std::string_view group, std::string_view wanted) {
  std::optional<gid_t> found;
  for_each_group(group, [&](std::string_view name, gid_t gid, std::string_view) {
    if (!found && name == wanted) found = gid;
  });
  return found ? found : number_of(wanted);
}

}  // namespace

std::optional<Identity> find_identity(std::string_view user, std::string_view passwd, std::string_view group) {
  std::string_view rest = user;
  const std::string_view name = take(rest, ':');
  Identity identity;
  if (const auto found = find_user(passwd, name.empty() ? "root" : name)) {
    identity = {found->uid, found->gid, {}, std::string(found->name), std::string(found->home)};
  } else if (const auto number = number_of(name)) {
    identity = {*number, 0, {}, std::string(name), "/"};
  } else if (!name.empty() && name != "root") {
    return std::nullopt;
  }
  if (identity.home.empty()) identity.home = "/";
  if (!rest.empty()) {
    const auto gid = find_group(group, rest);
    if (!gid) return std::nullopt;
    identity.gid = *gid;
    return identity;
  }
  for_each_group(group, [&](std::string_view, gid_t gid, std::string_view members) {
    const bool more = gid != identity.gid && identity.groups.size() < kMaxGroups;
    if (more && counts_in(members, identity.name)) identity.groups.push_back(gid);
  });
  return identity;
}

std::vector<Identity> find_people(std::string_view passwd) {
  const auto root = find_user(passwd, "root");
  std::vector<Identity> people{{0, 0, {}, "root", root ? std::string(root->home) : "/root"}};
  for_each_user(passwd, [&](const User& user) {
    const bool person = user.uid >= kFirstPerson && user.uid <= kLastPerson && user.home.size() > 1;
    if (person) people.push_back({user.uid, user.gid, {}, std::string(user.name), std::string(user.home)});
    return people.size() < kMaxPeople;
  });
  return people;
}

std::optional<Identity> find_identity(std::string_view user) {
  constexpr std::size_t kMaxAccounts = 1024 * 1024;
  const auto passwd = read_file("/etc/passwd", kMaxAccounts), group = read_file("/etc/group", kMaxAccounts);
  return find_identity(user, passwd.value_or(""), group.value_or(""));
}

}  // namespace microagent::init
