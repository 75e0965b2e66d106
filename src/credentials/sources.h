#pragma once

#include <memory>
#include <string>

#include "base/secret.h"
#include "credentials/fetcher.h"
#include "credentials/helper.h"
#include "credentials/variables.h"
#include "policy/secret_ref.h"

namespace microagent::credentials {

// Takes one line end off, LF or CRLF.
void trim_line_end(Secret& secret);

// Follows references to secrets. Errors name the reference and never what was found there.
class Sources {
 public:
  Sources(Variables variables, std::shared_ptr<const Fetcher> fetcher, Helper helper = Helper())
      : variables_(std::move(variables)), fetcher_(std::move(fetcher)), helper_(helper) {}

  asio::awaitable<Result<Secret>> read(const policy::SecretRef& ref) const;
  Result<Secret> variable(const std::string& name) const;

 private:
  asio::awaitable<Result<Secret>> read_vault(const policy::SecretRef& ref) const;

  Variables variables_;
  std::shared_ptr<const Fetcher> fetcher_;
  Helper helper_;
};

}  // namespace microagent::credentials
