#include "init/trust_lists.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>

#include "init/files.h"
#include "init/steps.h"
#include "init/text.h"

namespace microagent::init {
namespace {

// The first that is there is what the guest trusts.
constexpr const char* kLists[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                   // RHEL of old
    "/var/lib/ca-certificates/ca-bundle.pem",             // openSUSE
    "/etc/ssl/ca-bundle.pem",                             // openSUSE of old
    "/etc/ssl/cert.pem",                                  // Alpine, LibreSSL
};

// Where a guest that has no list gets one: where its package of certificates will put its own when it comes. In the
// distributions with rpm, /etc/ssl/certs is a link of that package's, which a directory would be in the way of.
struct Place {
  const char* sign;
  const char* list;
};
constexpr Place kPlaces[] = {
    {"/usr/bin/zypper", "/var/lib/ca-certificates/ca-bundle.pem"},
    {"/usr/bin/rpm", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"},
    {"/", "/etc/ssl/certs/ca-certificates.crt"},
};

// Where the tools that make those lists anew look for what else belongs in them: where the directory is there, or the
// sign of a distribution whose tool may come later.
struct Source {
  const char* sign;
  const char* directory;
  const char* name;
};
constexpr Source kSources[] = {
    {"/", "/usr/local/share/ca-certificates", "microagent-egress.crt"},                         // Debian, Alpine
    {"/usr/bin/rpm", "/etc/pki/ca-trust/source/anchors", "microagent-egress.pem"},              // Fedora, RHEL
    {"/usr/bin/pacman", "/etc/ca-certificates/trust-source/anchors", "microagent-egress.pem"},  // Arch
    {"/usr/bin/zypper", "/etc/pki/trust/anchors", "microagent-egress.pem"},                     // openSUSE
};

constexpr std::string_view kMarkBegin = "# microagent: the authority that intercepts this workspace's TLS\n";
constexpr std::string_view kMarkEnd = "# microagent: end\n";
constexpr std::string_view kCertificateBegin = "-----BEGIN CERTIFICATE-----";

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool holds_certificates(std::string_view list) { return list.find(kCertificateBegin) != std::string_view::npos; }

// The distributions' tools copy ours without the marks around it.
void take_out(std::string& list, std::string_view certificate) {
  if (certificate.empty()) return;
  for (std::size_t at = list.find(certificate); at != std::string::npos; at = list.find(certificate, at)) {
    list.erase(at, certificate.size());
  }
}

std::string own_part(std::string_view list, const ListTrust& trust) {
  std::string own = without_ours(list);
  take_out(own, trust.certificate);
  take_out(own, trust.earlier);
  return own;
}

// In a guest that had no list it has the host's roots, too. It is ours as long as no tool has made it anew, whatever
// people have added to it.
bool ours_holds_roots(std::string_view list) {
  const std::size_t begin = list.find(kMarkBegin);
  if (begin == std::string_view::npos) return false;
  const std::string_view ours = list.substr(begin, list.find(kMarkEnd, begin) - begin);
  return ours.find(kCertificateBegin) != ours.rfind(kCertificateBegin);
}

std::string wanted_list(std::string_view list, const ListTrust& trust) {
  const std::string own = own_part(list, trust);
  const bool wants_roots = !holds_certificates(own) || ours_holds_roots(list);
  return with_ours(own, trust.certificate, wants_roots ? std::string_view(trust.roots) : std::string_view());
}

const char* find_list(const std::string& root) {
  const auto found = std::ranges::find_if(kLists, [&](const char* list) { return is_file(root + list); });
  return found == std::end(kLists) ? nullptr : *found;
}

Status make_list(const std::string& root) {
  const auto place = std::ranges::find_if(kPlaces, [&](const Place& each) { return is_there(root + each.sign); });
  const std::string path = root + place->list;
  if (Status made = make_directories(path.substr(0, path.rfind('/'))); !made) return made;
  return write_file(path, "");
}

Status extend_list(const std::string& path, const ListTrust& trust) {
  const auto list = read_file(path, kMaxList);
  if (!list) return fail(list.error());
  const std::string wanted = wanted_list(*list, trust);
  if (wanted != *list) {
    if (Status written = replace_whole(path, wanted); !written) return written;
  }
  return check_holds(path, trust.certificate);
}

// In the place of what is there, be it a link, whose target stays as it is.
Status place_file(const std::string& path, std::string_view content) {
  const std::string fresh = concat(path, ".microagent");
  if (check_file(path, content)) return {};
  if (Status written = write_new_file(fresh, content); !written) return written;
  if (::rename(fresh.c_str(), path.c_str()) == 0) return {};
  return fail_errno(errno, concat("cannot replace ", path));
}

Status place_link(const std::string& path, const std::string& target) {
  if (is_link_to(path, target)) return {};
  const std::string fresh = concat(path, ".microagent");
  if (Status removed = remove_file(fresh); !removed) return removed;
  if (::symlink(target.c_str(), fresh.c_str()) != 0) return fail_errno(errno, concat("cannot make ", path));
  if (::rename(fresh.c_str(), path.c_str()) == 0) return {};
  return fail_errno(errno, concat("cannot replace ", path));
}

// A file of its own where the list could not be written.
Status install_bundle(const std::string& root, const ListTrust& trust) {
  const std::string path = root + kTrustedBundle;
  const char* const list = find_list(root);
  if (list && check_holds(root + list, trust.certificate)) {
    const Status led =
        place_link(path, concat("../..", list)).and_then([&] { return check_holds(path, trust.certificate); });
    if (led) return led;
  }
  const auto own = list ? read_file(root + list, kMaxList) : Result<std::string>(std::string());
  if (!own) return fail(own.error());
  if (Status written = place_file(path, wanted_list(*own, trust)); !written) return written;
  return check_holds(path, trust.certificate);
}

Status install_source(const std::string& root, const Source& source, std::string_view certificate) {
  const std::string directory = root + source.directory;
  if (!is_directory(directory)) {
    if (!is_there(root + source.sign)) return {};
    if (Status made = make_directories(directory); !made) return made;
  }
  const std::string path = concat(directory, "/", source.name);
  // Below /usr/local there may be a user's links.
  if (Status placed = place_file(path, certificate); !placed) return placed;
  return check_holds(path, certificate);
}

Status shorten_list(const std::string& path, std::string_view certificate) {
  const auto list = read_file(path, kMaxList);
  if (!list) return fail(list.error());
  const std::string own = own_part(*list, {std::string(certificate), {}, {}});
  if (own == *list) return {};
  return own.empty() ? remove_file(path) : replace_whole(path, own);
}

}  // namespace

Status install_lists(const std::string& root, const ListTrust& trust) {
  Steps steps;
  if (!find_list(root)) steps.take(make_list(root));
  for (const char* list : kLists) {
    if (is_file(root + list)) steps.take(extend_list(root + list, trust));
  }
  steps.take(install_bundle(root, trust));
  for (const Source& source : kSources) steps.take(install_source(root, source, trust.certificate));
  return std::move(steps).result();
}

Status remove_lists(const std::string& root, std::string_view certificate) {
  Steps steps;
  for (const char* list : kLists) {
    if (is_file(root + list)) steps.take(shorten_list(root + list, certificate));
  }
  for (const Source& source : kSources) steps.take(remove_file(concat(root, source.directory, "/", source.name)));
  steps.take(remove_file(root + kTrustedBundle));
  return std::move(steps).result();
}

bool has_own_list(const std::string& root) {
  const char* const path = find_list(root);
  if (!path) return false;
  const std::string list = read_file(root + path, kMaxList).value_or("");
  return holds_certificates(without_ours(list)) && !ours_holds_roots(list);
}

Status check_holds(const std::string& path, std::string_view text) {
  const auto content = read_file(path, kMaxList);
  if (!content) return fail(content.error());
  if (content->find(text) != std::string::npos) return {};
  return fail(ErrorKind::permanent, concat(path, " does not hold what was written to it"));
}

std::string without_ours(std::string_view list) {
  std::string rest(list);
  for (;;) {
    const std::size_t begin = rest.find(kMarkBegin);
    if (begin == std::string::npos) return rest;
    const std::size_t end = rest.find(kMarkEnd, begin);
    rest.erase(begin, end == std::string::npos ? end : end + kMarkEnd.size() - begin);
  }
}

std::string with_ours(std::string_view list, std::string_view certificate, std::string_view roots) {
  std::string all = without_ours(list);
  if (!all.empty() && all.back() != '\n') all += '\n';
  return concat(all, kMarkBegin, certificate, roots, kMarkEnd);
}

}  // namespace microagent::init
