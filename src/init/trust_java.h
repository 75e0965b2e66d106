#pragma once

// Java's trust: it reads no list in PEM but a store, and a variable has to name another than its own.

#include <string>
#include <string_view>

#include "base/result.h"
#include "init/environment.h"

namespace microagent::init {

inline constexpr const char* kJavaStore = "/etc/microagent/egress-ca-trust.jks";

// Makes the store of all the certificates of a list in PEM, whether there is a Java or not: one may come later, and
// lies in another place with each who brings it.
Status install_java_store(const std::string& root, std::string_view list);

// JAVA_TOOL_OPTIONS names our store behind what it says already, unless that names a store by itself.
Environment with_java_store(Environment environment);
bool names_java_store(const Environment& environment);

}  // namespace microagent::init
