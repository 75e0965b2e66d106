#pragma once

// Makes the guest's programs trust the authority that intercepts what they send. There is no one place for that: each
// family of TLS libraries has its own file, directory or variable.

#include <string>

#include "base/result.h"
#include "init/environment.h"
#include "wire/agent.h"

namespace microagent::init {

// Installs the certificate wherever the guest, which lies under `root` ("" for /), has a place for it, in place of an
// earlier one of ours, and reads it back. A guest that trusts nobody by itself is to trust `roots` as well, in PEM. An
// error says where that did not succeed; what could be done is done.
Status install_trust(const std::string& root, const wire::Trust& trust, const std::string& roots = {});

// Takes away what an earlier start installed, in a guest whose TLS is intercepted no longer: its disk has kept it. Does
// nothing where nothing was. An error says what could not be taken away.
Status remove_trust(const std::string& root);

// The variables by which programs find it, but for Java's (init/trust_java.h).
Environment trust_environment();

}  // namespace microagent::init
