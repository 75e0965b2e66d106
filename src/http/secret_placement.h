#pragma once

// Puts a secret into a request that the guest made without it, where a swap says so. The head is the guest's and may be
// anything that a head can be.

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "policy/swap.h"

namespace microagent::http {

// Whether the request's head has a place for it: always, but where a placeholder is all there is.
bool wants_secret(const RequestMessage& request, const policy::Placement& placement);

// Replaces what the guest wrote there itself. False where the head would become too long, or the secret is none that a
// header may hold; the request is not to be sent then.
[[nodiscard]] bool place_secret(RequestMessage& request, const policy::Placement& placement, std::string_view secret);

// Leaves of what the guest would accept that which can be looked through for the secret when it comes back: codings
// (content_decoder.h), messages of gRPC and WebSocket that are not compressed, and where bodies may bring the secret to
// be kept there, wholes instead of ranges.
void ask_readable(RequestMessage& request, const policy::Placement& placement);

// How a body writes what is put into it; nothing for one that is left alone: neither text nor JSON nor a form, or in a
// Content-Encoding.
enum class TextKind : std::uint8_t { plain, json, form };
std::optional<TextKind> text_kind(const HeaderList& headers);

inline constexpr std::size_t kMaxSwappedBody = 1024 * 1024;

inline constexpr std::size_t kMaxGrownBody = 2 * kMaxSwappedBody;

bool holds_placeholder(TextKind kind, std::string_view body, std::string_view placeholder);

// The body with the secret in the placeholder's stead; nothing where that would be longer than kMaxGrownBody: the guest
// may have written the placeholder as often as it likes.
std::optional<std::string> replace_in_body(TextKind kind, std::string_view body, std::string_view placeholder,
                                           std::string_view secret);

}  // namespace microagent::http
