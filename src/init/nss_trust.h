#pragma once

// Makes the browsers of the guest's people trust a certificate that know of no policies: the headless shell of
// Chromium, which Playwright and Puppeteer start, older Chromes, programs made with Electron. They look into a database
// of NSS at home (https://chromium.googlesource.com/chromium/src/+/main/docs/linux/cert_management.md).

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "init/accounts.h"

namespace microagent::init {

// For each of `people`, whose homes lie under `root`, as that user: nobody is led to others' files. A database that is
// somebody's own stays as it is, and the error says what to do.
Status install_nss_trust(const std::string& root, const std::vector<Identity>& people, std::string_view certificate);

// Takes away what is ours.
Status remove_nss_trust(const std::string& root, const std::vector<Identity>& people);

}  // namespace microagent::init
