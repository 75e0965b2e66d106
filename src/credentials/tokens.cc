#include "credentials/tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/percent.h"
#include "credentials/jwt.h"

namespace microagent::credentials {
namespace {

using policy::SecretRef;
using policy::Swap;

constexpr std::chrono::seconds kAssumedLifetime{3600};
constexpr std::chrono::seconds kAssertionLifetime{600};
constexpr std::chrono::seconds kBeforeEnd{60};
constexpr std::chrono::hours kForever{24 * 365};
// How long what was read is believed: a file is looked at again in no time, a vault or a helper takes its time.
constexpr std::chrono::milliseconds kFileGlance{250};
constexpr std::chrono::minutes kGlance{5};
// And how long it is used where those two have nothing newer to say.
constexpr std::chrono::hours kHeldOn{1};

Minted minted_from(SecretRef::Scheme scheme, Secret key) {
  switch (scheme) {
    case SecretRef::Scheme::env: return {std::move(key), kForever, kForever};
    case SecretRef::Scheme::file: return {std::move(key), kFileGlance, kFileGlance};
    case SecretRef::Scheme::vault:
    case SecretRef::Scheme::helper: break;
  }
  return {std::move(key), kHeldOn, kGlance};
}

std::string join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined.append(joined.empty() ? "" : " ").append(word);
  return joined;
}

std::size_t encoded_size(std::string_view text) {
  const auto plain = static_cast<std::size_t>(std::ranges::count_if(text, is_unreserved));
  return plain + 3 * (text.size() - plain);
}

char* encode(std::string_view text, char* out) {
  for (const char c : text) {
    if (is_unreserved(c)) *out++ = c;
    else out = std::ranges::copy(percent_encoded(c), out).out;
  }
  return out;
}

// RFC 6749, 5.2. Any other word may be made of the request.
std::string error_word(const nlohmann::json& answer) {
  constexpr std::array<std::string_view, 6> kWords{"invalid_request",     "invalid_client", "invalid_grant",
                                                   "unauthorized_client", "invalid_scope",  "unsupported_grant_type"};
  const auto error = answer.is_object() ? answer.find("error") : answer.end();
  if (!answer.is_object() || error == answer.end() || !error->is_string()) return {};
  const auto word = std::ranges::find(kWords, error->get_ref<const std::string&>());
  return word == kWords.end() ? "" : fmt::format(" ({})", *word);
}

std::optional<std::chrono::seconds> lifetime_of(const nlohmann::json& answer) {
  constexpr std::int64_t kLongest = 365 * 24 * 3600;
  const auto value = answer.find("expires_in");
  if (value == answer.end()) return std::nullopt;
  std::optional<double> seconds;
  if (value->is_number()) seconds = value->get<double>();
  if (value->is_string()) {  // some write it so
    const std::string& text = value->get_ref<const std::string&>();
    double number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc()) seconds = number;
  }
  if (!seconds || std::isnan(*seconds)) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(std::clamp(*seconds, 0.0, static_cast<double>(kLongest))));
}

// The strings of an answer hold secrets.
void wipe_strings(nlohmann::json& json) {
  if (json.is_string()) return wipe(json.get_ref<std::string&>());
  if (!json.is_structured()) return;
  for (nlohmann::json& item : json) {
    if (item.is_string()) wipe(item.get_ref<std::string&>());
  }
}

}  // namespace

Secret encode_form(const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  std::size_t size = fields.empty() ? 0 : fields.size() - 1;
  for (const auto& [name, value] : fields) size += encoded_size(name) + 1 + encoded_size(value);
  Secret form(size);
  char* out = form.bytes().data();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) *out++ = '&';
    out = encode(fields[i].first, out);
    *out++ = '=';
    out = encode(fields[i].second, out);
  }
  return form;
}

Result<Token> parse_token(const FetchResponse& response, const std::string& field) {
  const auto failed = [](std::string why) { return fail(ErrorKind::transient, std::move(why)); };
  nlohmann::json answer = nlohmann::json::parse(response.body.view(), nullptr, false);
  if (response.status != 200) {
    return failed(fmt::format("the token server answered with status {}{}", response.status, error_word(answer)));
  }
  const auto value = answer.is_object() ? answer.find(field) : answer.end();
  if (!answer.is_object() || value == answer.end() || !value->is_string() ||
      value->get_ref<const std::string&>().empty()) {
    wipe_strings(answer);
    return failed(fmt::format("the token server's answer holds no {}", field));
  }
  Token token{Secret::of(value->get_ref<const std::string&>()), lifetime_of(answer)};
  wipe_strings(answer);
  if (token.secret.size() > kMaxSecret) return failed("the token server's token is too long");
  return token;
}

Minted minted(Secret secret, std::chrono::seconds lifetime) {
  using std::chrono::milliseconds;
  const milliseconds whole(lifetime);
  // One that lives hardly longer than that must be of some use.
  const milliseconds usable = std::max(whole - milliseconds(kBeforeEnd), whole / 10);
  return {std::move(secret), usable, usable - std::min(milliseconds(kBeforeEnd), usable / 4)};
}

asio::awaitable<Result<Minted>> Mint::make(const Swap& swap) const {
  switch (swap.type) {
    case Swap::Type::fixed: return read_key(swap);
    case Swap::Type::oauth2_cc: return ask_for_token(swap);
    case Swap::Type::jwt_bearer: return sign(swap);
  }
  return read_key(swap);
}

asio::awaitable<Result<Minted>> Mint::read_key(const Swap& swap) const {
  auto key = co_await sources_->read(*swap.key);
  if (!key) co_return fail(key.error());
  co_return minted_from(swap.key->scheme, std::move(*key));
}

asio::awaitable<Result<Minted>> Mint::ask_for_token(const Swap& swap) const {
  const auto id = co_await sources_->read(*swap.client_id);
  if (!id) co_return fail(id.error());
  const auto secret = co_await sources_->read(*swap.client_secret);
  if (!secret) co_return fail(secret.error());
  const std::string scope = join(swap.scopes);
  std::vector<std::pair<std::string_view, std::string_view>> fields{
      {"grant_type", "client_credentials"}, {"client_id", id->view()}, {"client_secret", secret->view()}};
  if (!scope.empty()) fields.emplace_back("scope", scope);
  co_return co_await exchange(swap, encode_form(fields));
}

asio::awaitable<Result<Minted>> Mint::sign(const Swap& swap) const {
  const auto key = co_await sources_->read(*swap.signing_key);
  if (!key) co_return fail(key.error());
  Assertion assertion{swap.algorithm, swap.key_id, swap.claims, now_(), kAssertionLifetime};
  for (auto& [claim, value] : assertion.claims) {
    const auto name = policy::claim_variable(value);
    if (!name) continue;
    const auto variable = sources_->variable(*name);
    if (!variable) co_return fail(with_context(variable.error(), "claim " + claim));
    value = variable->view();
  }
  const bool exchanged = !swap.token_url.empty();
  if (!exchanged && swap.token_ttl_seconds) assertion.lifetime = std::chrono::seconds(*swap.token_ttl_seconds);
  auto signed_jwt = sign_jwt(assertion, *key);
  if (!signed_jwt) co_return fail(with_context(signed_jwt.error(), to_string(*swap.signing_key)));
  if (!exchanged) co_return minted(std::move(*signed_jwt), assertion.lifetime);
  const std::string scope = join(swap.scopes);
  std::vector<std::pair<std::string_view, std::string_view>> fields{
      {"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"assertion", signed_jwt->view()}};
  if (!scope.empty()) fields.emplace_back("scope", scope);
  co_return co_await exchange(swap, encode_form(fields));
}

asio::awaitable<Result<Minted>> Mint::exchange(const Swap& swap, Secret form) const {
  auto url = policy::parse_token_url(swap.token_url);
  if (!url) co_return fail(with_context(url.error(), "token_url"));
  FetchRequest request;
  request.url = std::move(*url);
  request.form = std::move(form);
  const auto response = co_await fetcher_->fetch(std::move(request));
  if (!response) co_return fail(response.error());
  auto token = parse_token(*response, swap.token_response_field);
  if (!token) co_return fail(token.error());
  const std::chrono::seconds fallback =
      swap.token_ttl_seconds ? std::chrono::seconds(*swap.token_ttl_seconds) : kAssumedLifetime;
  co_return minted(std::move(token->secret), token->lifetime.value_or(fallback));
}

}  // namespace microagent::credentials
