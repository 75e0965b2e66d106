#pragma once

// A workspace that a command is about to start or to end.

#include <chrono>

#include "cli/command.h"
#include "workspace/manifest.h"

namespace microagent::supervisor {
struct Leash;
}

namespace microagent::cli {

inline constexpr unsigned kReadySeconds = 120, kStopSeconds = 10;  // unless the command says otherwise
inline constexpr unsigned kMaxSeconds = 3600;

struct Subject {
  workspace::Store store;
  workspace::Manifest manifest;
};

// A dead supervisor is noticed here.
Result<Subject> find_subject(const Context& context, const std::string& name);

// Who supervises a workspace starts it, and holds the life that it started. Kind conflict.
Status check_unsupervised(const Subject& subject);

// Boots the workspace and waits until its guest is ready; on a leash where one is given (supervisor/client.h).
Result<workspace::Runtime> boot(const Context& context, const Subject& subject, std::chrono::seconds patience,
                                supervisor::Leash* leash = nullptr);

}  // namespace microagent::cli
