#pragma once

// Browsers bring their own lists of authorities, and read neither the guest's nor the variables. What they all read is
// the policies of their machine's administrator:
//   Chromium: https://chromeenterprise.google/policies/#CACertificates
//   Firefox:  https://mozilla.github.io/policy-templates/#certificates--install

#include <string>
#include <string_view>

#include "base/result.h"
#include "init/environment.h"

namespace microagent::init {

// Lays the policies that trust the certificate, which lies in `file` too, in the guest under `root` ("" for /), whether
// or not a browser is there: agents fetch theirs later. What Firefox reads is one file for all policies; where that is
// somebody else's and does not name the certificate, it stays as it is and the error says so.
Status install_browser_policies(const std::string& root, std::string_view certificate, const char* file);

// Takes away what is ours of them.
Status remove_browser_policies(const std::string& root);

// The variable by which Playwright's Firefox, which knows of no machine's policies, finds them.
Environment browser_environment();

}  // namespace microagent::init
