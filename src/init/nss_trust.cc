#include "init/nss_trust.h"

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

// NSS makes it anew, with signatures for what is trusted now.
Status put_keys_aside(const std::string& directory) {
  const std::string keys = directory + kKeys;
  if (::rename(keys.c_str(), (keys + ".before-microagent").c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, concat("cannot rename ", keys));
}

Status lay_database(const std::string& directory, std::string_view database) {
  if (Status aside = put_keys_aside(directory); !aside) return aside;
  const std::string path = directory + kDatabase, fresh = path + ".microagent";
  if (Status written = write_file(fresh, database, 0600); !written) return written;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, concat("cannot replace ", path));
  return check_file(path, database);
}

Status lay_first_database(const std::string& home, std::string_view database) {
  const std::string directory = home + kPlaces[0];
  for (const std::string& made : {home + "/.pki", directory}) {
    if (Status there = make_directory(made.c_str(), 0700); !there) return there;
  }
  return lay_database(directory, database);
}

Status install_at(const std::string& home, std::string_view certificate, const std::string& database) {
  const std::string directory = place_at(home), path = directory + kDatabase;
  if (!is_file(path)) return lay_first_database(home, database);
  const auto present = read_file(path, kMaxDatabase);
  if (!present) return fail(present.error());
  if (present->find(certificate) != std::string::npos) return {};
  if (may_replace_nss_database(*present)) return lay_database(directory, database);
  return fail(ErrorKind::permanent, concat(path, " holds certificates of others; add /etc/microagent/egress-ca.pem: ",
                                           "certutil -d sql:", directory, " -A -t C,, -n microagent -i FILE"));
}

Status remove_at(const std::string& home) {
  for (const char* place : kPlaces) {
    const std::string directory = home + place, path = directory + kDatabase;
    if (!is_file(path)) continue;
    const auto present = read_file(path, kMaxDatabase);
    if (!present || !is_our_nss_database(*present)) continue;
    if (Status aside = put_keys_aside(directory); !aside) return aside;
    return remove_file(path);
  }
  return {};
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
