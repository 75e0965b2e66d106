#pragma once

#include <string>
#include <vector>

#include "base/secret.h"
#include "credentials/io.h"

namespace microagent::credentials {

// Runs a program and takes what it prints as a secret, without the line end at its end. The words of the command stand
// between spaces, without a shell. What it says on its standard error goes nowhere, since it may hold the secret.
class Helper {
 public:
  explicit Helper(std::chrono::milliseconds patience = std::chrono::seconds(10)) : patience_(patience) {}

  // An error names the program and never what it printed.
  asio::awaitable<Result<Secret>> run(const std::string& command) const;

 private:
  std::chrono::milliseconds patience_;
};

}  // namespace microagent::credentials
