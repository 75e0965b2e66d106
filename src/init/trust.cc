#include "init/trust.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "init/browser_policies.h"
#include "init/files.h"
#include "init/keystore.h"
#include "init/nss_trust.h"
#include "init/steps.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr const char* kDirectory = "/etc/microagent";
constexpr const char* kCertificate = "/etc/microagent/egress-ca.pem";
constexpr const char* kBundle = "/etc/microagent/egress-ca-bundle.pem";

// The lists of certificates that distributions' programs read. The first that is there is what the guest trusts.
constexpr const char* kLists[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                   // RHEL of old
    "/var/lib/ca-certificates/ca-bundle.pem",             // openSUSE
    "/etc/ssl/ca-bundle.pem",                             // openSUSE of old
    "/etc/ssl/cert.pem",                                  // Alpine, LibreSSL
    "/usr/local/share/certs/ca-root-nss.crt",
};
constexpr std::size_t kMaxList = 16 * 1024 * 1024;

// Where the tools that make those lists anew look for what else belongs in them; each where its directory is there.
struct Source {
  const char* directory;
  const char* name;
};
constexpr Source kSources[] = {
    {"/usr/local/share/ca-certificates", "microagent-egress.crt"},  // update-ca-certificates
    {"/etc/pki/ca-trust/source/anchors", "microagent-egress.pem"},  // update-ca-trust
    {"/etc/ca-certificates/trust-source/anchors", "microagent-egress.pem"},
    {"/etc/pki/trust/anchors", "microagent-egress.pem"},
};

// Where Java is, if it is there. Its store is made for it alone: whoever has no Java need not have it.
constexpr const char* kJava[] = {"/usr/lib/jvm", "/opt/java", "/usr/java", "/usr/local/openjdk"};
constexpr const char* kKeystore = "/etc/microagent/egress-ca-trust.jks";

constexpr const char* kAccounts = "/etc/passwd";
constexpr std::size_t kMaxAccounts = 1024 * 1024;

constexpr const char* kHashed = "/etc/ssl/certs";  // OpenSSL's directory
constexpr int kMaxSameHash = 16;

constexpr std::string_view kMarkBegin = "# microagent: the authority that intercepts this workspace's TLS\n";
constexpr std::string_view kMarkEnd = "# microagent: end\n";

Status extend_list(const std::string& path, std::string_view certificate) {
  const auto list = read_file(path, kMaxList);
  if (!list) return fail(list.error());
  const std::string wanted = with_ours(*list, certificate);
  return wanted == *list ? Status() : replace_whole(path, wanted);
}

// What the guest trusts by itself; empty where that is nothing.
Result<std::string> own_list(const std::string& root) {
  for (const char* list : kLists) {
    const std::string path = root + list;
    if (is_file(path)) return read_file(path, kMaxList).map([](const std::string& text) { return without_ours(text); });
  }
  return std::string();
}

// Under the first number that is free or ours already: others may have the same hash.
Status link_by_hash(const std::string& root, const std::string& hash) {
  for (int number = 0; number < kMaxSameHash; ++number) {
    const std::string path = concat(root, kHashed, "/", hash, ".", number);
    if (is_link_to(path, kCertificate)) return {};
    if (::symlink(kCertificate, path.c_str()) == 0) return {};
    if (errno != EEXIST) return fail_errno(errno, concat("cannot make ", path));
  }
  return fail_errno(EEXIST, concat("cannot make ", kHashed, "/", hash));
}

Status check_back(const std::string& path, std::string_view certificate) {
  const auto content = read_file(path, kMaxList);
  if (!content) return fail(content.error());
  if (content->find(certificate) != std::string::npos) return {};
  return fail(ErrorKind::permanent, concat(path, " does not hold the certificate that was written to it"));
}

// Of all that the guest trusts: Java reads this store in the place of its own.
Status write_keystore(const std::string& root, const std::string& bundle) {
  const bool wanted = std::ranges::any_of(kJava, [&](const char* java) { return is_directory(root + java); });
  if (!wanted) return {};
  const std::string store = encode_keystore(certificates_of(bundle));
  if (Status written = replace_whole(root + kKeystore, store); !written) return written;
  return check_back(root + kKeystore, store);
}

Status shorten_list(const std::string& path) {
  const auto list = read_file(path, kMaxList);
  if (!list) return fail(list.error());
  const std::string wanted = without_ours(*list);
  return wanted == *list ? Status() : replace_whole(path, wanted);
}

// Their names are the hash of a certificate that is gone.
Status unlink_hashes(const std::string& root) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir((root + kHashed).c_str()), ::closedir);
  if (!directory) return {};
  Steps steps;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string path = concat(root, kHashed, "/", std::string_view(entry->d_name));
    if (is_link_to(path, kCertificate)) steps.take(remove_file(path));
  }
  return std::move(steps).result();
}

std::vector<Identity> people_of(const std::string& root) {
  return find_people(read_file(root + kAccounts, kMaxAccounts).value_or(""));
}

Status install_for_browsers(const std::string& root, const std::string& certificate) {
  Steps steps;
  steps.take(install_browser_policies(root, certificate, kCertificate));
  for (const std::string& bytes : certificates_of(certificate)) {
    steps.take(install_nss_trust(root, people_of(root), bytes));
  }
  return std::move(steps).result();
}

}  // namespace

std::string without_ours(std::string_view bundle) {
  std::string rest(bundle);
  for (;;) {
    const std::size_t begin = rest.find(kMarkBegin);
    if (begin == std::string::npos) return rest;
    const std::size_t end = rest.find(kMarkEnd, begin);
    rest.erase(begin, end == std::string::npos ? end : end + kMarkEnd.size() - begin);
  }
}

std::string with_ours(std::string_view bundle, std::string_view certificate) {
  std::string all = without_ours(bundle);
  if (!all.empty() && all.back() != '\n') all += '\n';
  return concat(all, kMarkBegin, certificate, kMarkEnd);
}

Status install_trust(const std::string& root, const wire::Trust& trust) {
  Steps steps;
  steps.take(make_directory((root + kDirectory).c_str(), 0755));
  steps.take(replace_whole(root + kCertificate, trust.certificate));
  const auto own = own_list(root);
  if (!own) steps.take(fail(own.error()));
  const std::string bundle = with_ours(own.value_or(""), trust.certificate);
  steps.take(replace_whole(root + kBundle, bundle));
  steps.take(check_back(root + kCertificate, trust.certificate));
  steps.take(check_back(root + kBundle, trust.certificate));
  steps.take(write_keystore(root, bundle));
  for (const char* list : kLists) {
    const std::string path = root + list;
    if (!is_file(path)) continue;
    steps.take(extend_list(path, trust.certificate));
    steps.take(check_back(path, trust.certificate));
  }
  for (const Source& source : kSources) {
    const std::string directory = root + source.directory;
    if (is_directory(directory)) steps.take(replace_whole(concat(directory, "/", source.name), trust.certificate));
  }
  if (is_directory(root + kHashed)) steps.take(link_by_hash(root, trust.subject_hash));
  steps.take(install_for_browsers(root, trust.certificate));
  return std::move(steps).result();
}

Status remove_trust(const std::string& root) {
  if (!is_file(root + kCertificate)) return {};
  Steps steps;
  for (const char* list : kLists) {
    if (is_file(root + list)) steps.take(shorten_list(root + list));
  }
  for (const Source& source : kSources) steps.take(remove_file(concat(root, source.directory, "/", source.name)));
  steps.take(unlink_hashes(root));
  steps.take(remove_browser_policies(root));
  steps.take(remove_nss_trust(root, people_of(root)));
  for (const char* file : {kBundle, kKeystore, kCertificate}) steps.take(remove_file(root + file));
  ::rmdir((root + kDirectory).c_str());  // unless somebody has put something else there
  return std::move(steps).result();
}

Environment trust_environment(const std::string& root) {
  Environment environment;
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
                           "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"}) {
    environment.push_back(concat(name, "=", kBundle));
  }
  // These add to what the program brings along.
  for (const char* name : {"NODE_EXTRA_CA_CERTS", "DENO_CERT"}) environment.push_back(concat(name, "=", kCertificate));
  environment = merge(std::move(environment), browser_environment());
  if (is_file(root + kKeystore)) {
    environment.push_back(
        concat("JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStoreType=jks -Djavax.net.ssl.trustStore=", kKeystore));
  }
  return environment;
}

}  // namespace microagent::init
