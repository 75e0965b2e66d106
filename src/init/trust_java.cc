#include "init/trust_java.h"

#include "init/files.h"
#include "init/keystore.h"
#include "init/text.h"
#include "init/trust_lists.h"

namespace microagent::init {
namespace {

constexpr std::string_view kVariable = "JAVA_TOOL_OPTIONS";
constexpr std::string_view kStoreOption = "-Djavax.net.ssl.trustStore=";

}  // namespace

Status install_java_store(const std::string& root, std::string_view list) {
  const std::string path = root + kJavaStore, store = encode_keystore(certificates_of(list));
  if (Status written = replace_whole(path, store); !written) return written;
  return check_holds(path, store);
}

Environment with_java_store(Environment environment) {
  const std::string_view said = value_of(environment, kVariable);
  if (said.find(kStoreOption) != std::string_view::npos) return environment;
  const std::string all = concat(kVariable, "=", said, said.empty() ? "" : " ", "-Djavax.net.ssl.trustStoreType=jks ",
                                 kStoreOption, kJavaStore);
  return merge(std::move(environment), {all});
}

bool names_java_store(const Environment& environment) {
  return value_of(environment, kVariable).ends_with(concat(kStoreOption, kJavaStore));
}

}  // namespace microagent::init
