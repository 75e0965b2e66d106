#include "init/browser_policies.h"

#include <unistd.h>

#include <cerrno>

#include "init/files.h"
#include "init/steps.h"
#include "init/text.h"

namespace microagent::init {
namespace {

// Where each of Chromium's kin looks; all files of a directory count.
constexpr const char* kChromiumKin[] = {
    "/etc/chromium/policies/managed",                // Chromium, as distributions build it
    "/etc/opt/chrome/policies/managed",              // Chrome
    "/etc/opt/chrome_for_testing/policies/managed",  // what Puppeteer and Playwright fetch
    "/etc/opt/edge/policies/managed",                // Edge
};
constexpr const char* kChromiumName = "/microagent-egress.json";

constexpr const char* kFirefoxPolicies = "/etc/microagent/firefox-policies.json";
// A Firefox, Debian's ESR too, that finds a file of the machine's here looks at none of its own.
constexpr const char* kFirefoxDirectory = "/etc/firefox/policies";
constexpr const char* kFirefoxFile = "/etc/firefox/policies/policies.json";
constexpr const char* kFirefoxOthers[] = {
    kFirefoxFile,
    "/usr/lib/firefox/distribution/policies.json",
    "/usr/lib/firefox-esr/distribution/policies.json",
    "/usr/lib64/firefox/distribution/policies.json",
    "/opt/firefox/distribution/policies.json",
};
constexpr std::size_t kMaxPolicies = 16 * 1024 * 1024;

// The certificate's bytes in Base64: what stands between the first and the last line of PEM.
std::string body_of(std::string_view pem) {
  std::string body;
  bool inside = false;
  while (!pem.empty()) {
    const std::size_t end = pem.find('\n');
    const std::string_view line = pem.substr(0, end);
    pem.remove_prefix(end == std::string_view::npos ? pem.size() : end + 1);
    if (line.starts_with("-----END")) break;
    if (inside) body += line;
    inside = inside || line.starts_with("-----BEGIN");
  }
  return body;
}

Status lay_for_chromium(const std::string& root, const char* directory, std::string_view certificate) {
  if (Status made = make_directories(root + directory); !made) return made;
  const std::string policies = concat("{\"CACertificates\": [\"", body_of(certificate), "\"]}\n");
  const std::string path = concat(root, directory, kChromiumName);
  if (Status written = replace_whole(path, policies); !written) return written;
  return check_file(path, policies);
}

// Somebody else's policies, which have to name the certificate themselves.
Status check_others(const std::string& path, std::string_view file) {
  const auto policies = read_file(path, kMaxPolicies);
  if (!policies) return fail(policies.error());
  if (policies->find(file) != std::string::npos) return {};
  return fail(ErrorKind::permanent, concat(path, " does not have \"Certificates\": {\"Install\": [\"", file, "\"]}"));
}

Status lay_for_firefox(const std::string& root, std::string_view file) {
  const std::string policies = concat("{\"policies\": {\"Certificates\": {\"Install\": [\"", file, "\"]}}}\n");
  if (Status written = replace_whole(root + kFirefoxPolicies, policies); !written) return written;
  const std::string path = root + kFirefoxFile;
  if (is_link_to(path, kFirefoxPolicies)) return {};
  for (const char* others : kFirefoxOthers) {
    if (is_file(root + others)) return check_others(root + others, file);
  }
  if (Status made = make_directories(root + kFirefoxDirectory); !made) return made;
  if (::symlink(kFirefoxPolicies, path.c_str()) != 0) return fail_errno(errno, concat("cannot make ", path));
  return check_file(root + kFirefoxPolicies, policies);
}

}  // namespace

Status install_browser_policies(const std::string& root, std::string_view certificate, const char* file) {
  Steps steps;
  for (const char* directory : kChromiumKin) steps.take(lay_for_chromium(root, directory, certificate));
  steps.take(lay_for_firefox(root, file));
  return std::move(steps).result();
}

Status remove_browser_policies(const std::string& root) {
  Steps steps;
  for (const char* directory : kChromiumKin) steps.take(remove_file(concat(root, directory, kChromiumName)));
  if (is_link_to(root + kFirefoxFile, kFirefoxPolicies)) steps.take(remove_file(root + kFirefoxFile));
  steps.take(remove_file(root + kFirefoxPolicies));
  return std::move(steps).result();
}

Environment browser_environment() { return {concat("PLAYWRIGHT_FIREFOX_POLICIES_JSON=", kFirefoxPolicies)}; }

}  // namespace microagent::init
