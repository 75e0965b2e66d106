#pragma once

// The certificate authority of one workspace. Its guest trusts it, nobody else does, and its key never leaves the
// mediator. It is not constrained to names: which hosts are intercepted is the policy's to say, and the policy changes
// while the guest runs.

#include <cstddef>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::tls {

inline constexpr std::size_t kMaxLeaves = 1024;  // kept to be shown again

// A server certificate with its key, to show to the guest in the place of the real one.
class Leaf {
 public:
  struct State;
  explicit Leaf(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const State& state() const { return *state_; }

  const std::string& name() const;
  std::string certificate_pem() const;

 private:
  std::shared_ptr<const State> state_;
};

class Authority {
 public:
  struct State;  // OpenSSL's, and known to this folder only

  explicit Authority(std::unique_ptr<State> state);
  // A new one, for ten years.
  static Result<Authority> make(std::string_view workspace, std::time_t now = std::time(nullptr));
  // Of what pem() gave. An error where it is anything else, has expired, or will within five years: a workspace may
  // run for as long as that, and what its guest trusts stays the same.
  static Result<Authority> parse(std::string_view pem, std::time_t now = std::time(nullptr));

  Authority(Authority&&) noexcept;
  Authority& operator=(Authority&&) noexcept;
  ~Authority();

  // Certificate and private key: a secret.
  std::string pem() const;
  std::string certificate_pem() const;
  // SHA-256 of the certificate in hex.
  std::string fingerprint() const;
  // The file name, without the number behind the dot, under which OpenSSL looks for it in a directory: "3f1c9a20".
  std::string subject_hash() const;

  // A certificate for a DNS name or an IP address, for a week. The same again while it is kept and fresh.
  Result<Leaf> issue(std::string_view name, std::time_t now = std::time(nullptr));

 private:
  std::unique_ptr<State> state_;
};

}  // namespace microagent::tls
