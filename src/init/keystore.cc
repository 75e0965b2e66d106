#include "init/keystore.h"

#include <optional>

#include "base/bytes.h"
#include "base/sha1.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
constexpr std::string_view kPassword = "changeit";
constexpr std::string_view kSalt = "Mighty Aphrodite";  // in front of what the digest is of
constexpr std::uint32_t kMagic = 0xfeedfeed, kVersion = 2, kTrusted = 2;

std::optional<std::uint32_t> digit_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return std::nullopt;
}

// Empty where it is no Base64.
std::string decode_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t held = 0;
  int bits = 0;
  bool padded = false;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    padded = padded || c == '=';
    if (c == '=') continue;
    const auto digit = digit_of(c);
    if (!digit || padded) return {};
    held = held << 6 | *digit;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(held >> bits);
    held &= (1U << bits) - 1;
  }
  return bytes;
}

template <typename Number>
void put(std::string& out, Number number) {
  const ByteView bytes = bytes_of(number);
  out.append(bytes.begin(), bytes.end());
}

void put_name(std::string& out, std::string_view name) {
  put(out, be16(static_cast<std::uint16_t>(name.size())));
  out += name;
}

}  // namespace

std::vector<std::string> certificates_of(std::string_view pem) {
  std::vector<std::string> certificates;
  for (;;) {
    const std::size_t begin = pem.find(kBegin);
    if (begin == std::string_view::npos) return certificates;
    pem.remove_prefix(begin + kBegin.size());
    const std::size_t end = pem.find(kEnd);
    if (end == std::string_view::npos) return certificates;
    std::string bytes = decode_base64(pem.substr(0, end));
    if (!bytes.empty()) certificates.push_back(std::move(bytes));
    pem.remove_prefix(end + kEnd.size());
  }
}

std::string encode_keystore(const std::vector<std::string>& certificates) {
  std::string store;
  put(store, be32(kMagic));
  put(store, be32(kVersion));
  put(store, be32(static_cast<std::uint32_t>(certificates.size())));
  std::size_t number = 0;
  for (const std::string& certificate : certificates) {
    put(store, be32(kTrusted));
    put_name(store, concat("microagent-", number++));
    put(store, be64(0));  // when it was added: the same store for the same certificates
    put_name(store, "X.509");
    put(store, be32(static_cast<std::uint32_t>(certificate.size())));
    store += certificate;
  }
  Sha1 digest;
  for (const char c : kPassword) digest.feed(std::string_view("\0", 1)), digest.feed(std::string_view(&c, 1));
  digest.feed(kSalt);
  digest.feed(store);
  const Sha1Digest end = digest.finish();
  store.append(end.begin(), end.end());
  return store;
}

}  // namespace microagent::init
