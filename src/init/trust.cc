#include "init/trust.h"

#include <dirent.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "init/browser_policies.h"
#include "init/files.h"
#include "init/keystore.h"
#include "init/nss_trust.h"
#include "init/steps.h"
#include "init/text.h"
#include "init/trust_java.h"
#include "init/trust_lists.h"

namespace microagent::init {
namespace {

constexpr const char* kDirectory = "/etc/microagent";
constexpr const char* kAccounts = "/etc/passwd";
constexpr std::size_t kMaxAccounts = 1024 * 1024;

constexpr const char* kHashed = "/etc/ssl/certs";  // OpenSSL's directory
constexpr int kMaxSameHash = 16;

// Under the first number that is free or ours already: others may have the same hash.
Status link_by_hash(const std::string& root, const std::string& hash) {
  for (int number = 0; number < kMaxSameHash; ++number) {
    const std::string path = concat(root, kHashed, "/", hash, ".", number);
    if (is_link_to(path, kTrustedCertificate)) return {};
    if (::symlink(kTrustedCertificate, path.c_str()) == 0) {
      if (is_link_to(path, kTrustedCertificate)) return {};
      return fail(ErrorKind::permanent, concat(path, " does not lead where it was made to"));
    }
    if (errno != EEXIST) return fail_errno(errno, concat("cannot make ", path));
  }
  return fail_errno(EEXIST, concat("cannot make ", kHashed, "/", hash));
}

// Their names are the hash of a certificate that is gone.
Status unlink_hashes(const std::string& root) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir((root + kHashed).c_str()), ::closedir);
  if (!directory) return {};
  Steps steps;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string path = concat(root, kHashed, "/", std::string_view(entry->d_name));
    if (is_link_to(path, kTrustedCertificate)) steps.take(remove_file(path));
  }
  return std::move(steps).result();
}

std::vector<Identity> people_of(const std::string& root) {
  return find_people(read_file(root + kAccounts, kMaxAccounts).value_or(""));
}

Status install_for_browsers(const std::string& root, const std::string& certificate) {
  Steps steps;
  steps.take(install_browser_policies(root, certificate, kTrustedCertificate));
  for (const std::string& bytes : certificates_of(certificate)) {
    steps.take(install_nss_trust(root, people_of(root), bytes));
  }
  return std::move(steps).result();
}

}  // namespace

Status install_trust(const std::string& root, const wire::Trust& trust, const std::string& roots) {
  Steps steps;
  steps.take(make_directory((root + kDirectory).c_str(), 0755));
  const std::string earlier = read_file(root + kTrustedCertificate, kMaxList).value_or("");
  steps.take(replace_whole(root + kTrustedCertificate, trust.certificate));
  steps.take(check_holds(root + kTrustedCertificate, trust.certificate));
  steps.take(install_lists(root, {trust.certificate, earlier, roots}));
  const auto bundle = read_file(root + kTrustedBundle, kMaxList);
  steps.take(bundle ? install_java_store(root, *bundle) : fail(bundle.error()));
  if (is_directory(root + kHashed)) steps.take(link_by_hash(root, trust.subject_hash));
  steps.take(install_for_browsers(root, trust.certificate));
  return std::move(steps).result();
}

Status remove_trust(const std::string& root) {
  Steps steps;
  // A volume brings homes from another disk.
  steps.take(remove_nss_trust(root, people_of(root)));
  if (!is_file(root + kTrustedCertificate)) return std::move(steps).result();
  steps.take(remove_lists(root, read_file(root + kTrustedCertificate, kMaxList).value_or("")));
  steps.take(unlink_hashes(root));
  steps.take(remove_browser_policies(root));
  steps.take(remove_file(root + kJavaStore));
  // Last, since it tells that there is something to remove: what fails now is tried again at the next start.
  if (Status removed = std::move(steps).result(); !removed) return removed;
  if (Status removed = remove_file(root + kTrustedCertificate); !removed) return removed;
  ::rmdir((root + kDirectory).c_str());  // unless somebody has put something else there
  return {};
}

Environment trust_environment() {
  Environment environment;
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
                           "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"}) {
    environment.push_back(concat(name, "=", kTrustedBundle));
  }
  // These add to what the program brings along.
  for (const char* name : {"NODE_EXTRA_CA_CERTS", "DENO_CERT"})
    environment.push_back(concat(name, "=", kTrustedCertificate));
  environment = merge(std::move(environment), browser_environment());
  return environment;
}

}  // namespace microagent::init
