#include "init/nss_trust.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "init/files.h"
#include "init/nss_database.h"
#include "init/steps.h"
#include "init/text.h"

namespace microagent::init {
namespace {

// Chromium takes the second, its default since version 146, unless the first is there; all others know only that.
constexpr const char* kPlaces[] = {"/.pki/nssdb", "/.local/share/pki/nssdb"};
constexpr const char* kDatabase = "/cert9.db";
constexpr const char* kKeys = "/key4.db";
constexpr int kMaxAside = 100;
constexpr std::size_t kMaxDatabase = 64 * 1024 * 1024;

// Files are opened and made with the rights of a user, while it lives. Init has one thread.
class FileRights {
 public:
  explicit FileRights(const Identity& user) {
    ::setfsgid(user.gid);
    ::setfsuid(user.uid);
  }
  FileRights(const FileRights&) = delete;
  FileRights& operator=(const FileRights&) = delete;
  ~FileRights() {
    ::setfsuid(::geteuid());
    ::setfsgid(::getegid());
  }
};

// The directory of the database that is used, or would be.
std::string place_at(const std::string& home) {
  for (const char* place : kPlaces) {
    if (is_file(concat(home, place, kDatabase))) return home + place;
  }
  return home + kPlaces[0];
}

// NSS makes it anew, with signatures for what is trusted now. None that was put aside before is lost by that.
Status put_keys_aside(const std::string& directory) {
  const std::string keys = directory + kKeys, aside = keys + ".before-microagent";
  for (int number = 0; number < kMaxAside; ++number) {
    const std::string name = number == 0 ? aside : concat(aside, ".", number);
    const bool done = ::renameat2(AT_FDCWD, keys.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) == 0;
    if (done || errno == ENOENT) return {};
    if (errno != EEXIST) break;
  }
  return fail_errno(errno, concat("cannot rename ", keys));
}

Status lay_database(const std::string& directory, std::string_view database) {
  const std::string path = directory + kDatabase, fresh = path + ".microagent";
  if (Status written = write_new_file(fresh, database, 0600); !written) return written;
  if (Status aside = put_keys_aside(directory); !aside) {
    static_cast<void>(remove_file(fresh));
    return aside;
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, concat("cannot replace ", path));
  return check_file(path, database);
}

// A home that its user cannot write to will never have one, and needs none.
bool may_not_write(int error) { return error == EACCES || error == EPERM || error == EROFS; }

Status lay_first_database(const std::string& home, std::string_view database) {
  const std::string directory = home + kPlaces[0];
  for (const std::string& made : {home + "/.pki", directory}) {
    if (::mkdir(made.c_str(), 0700) == 0 || errno == EEXIST) continue;
    if (may_not_write(errno)) return {};
    return fail_errno(errno, concat("cannot make the directory ", made));
  }
  return lay_database(directory, database);
}

Status install_at(const std::string& home, std::string_view certificate, const std::string& database) {
  const std::string directory = place_at(home), path = directory + kDatabase;
  if (!is_file(path)) return lay_first_database(home, database);
  const auto present = read_regular_file(path, kMaxDatabase);
  if (!present) return fail(present.error());
  if (present->find(certificate) != std::string::npos) return {};
  if (may_replace_nss_database(*present)) return lay_database(directory, database);
  return fail(ErrorKind::permanent, concat(path, " holds certificates of others; add /etc/microagent/egress-ca.pem: ",
                                           "certutil -d sql:", directory, " -A -t C,, -n microagent -i FILE"));
}

Status remove_at(const std::string& home) {
  Steps steps;
  for (const char* place : kPlaces) {
    const std::string directory = home + place, path = directory + kDatabase;
    if (!is_file(path)) continue;
    const auto present = read_regular_file(path, kMaxDatabase);
    if (!present || !is_our_nss_database(*present)) continue;
    steps.take(put_keys_aside(directory));
    steps.take(remove_file(path));
  }
  return std::move(steps).result();
}

}  // namespace

Status install_nss_trust(const std::string& root, const std::vector<Identity>& people, std::string_view certificate) {
  const auto database = encode_nss_database(certificate);
  Steps steps;
  for (const Identity& user : people) {
    const FileRights rights(user);
    if (!is_directory(root + user.home)) continue;
    if (!database) return fail(ErrorKind::permanent, "the certificate to trust is none that NSS could read");
    steps.take(install_at(root + user.home, certificate, *database));
  }
  return std::move(steps).result();
}

Status remove_nss_trust(const std::string& root, const std::vector<Identity>& people) {
  Steps steps;
  for (const Identity& user : people) {
    const FileRights rights(user);
    steps.take(remove_at(root + user.home));
  }
  return std::move(steps).result();
}

}  // namespace microagent::init
