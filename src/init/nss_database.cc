#include "init/nss_database.h"

#include <array>

#include "base/sha1.h"
#include "init/sqlite_file.h"

namespace microagent::init {
namespace {

constexpr std::uint32_t kApplication = 0x6d616774;  // "magt"

// Attributes of PKCS #11 by their numbers, as NSS 3.87 makes the table; later ones add theirs.
constexpr std::string_view kColumns =
    "a0, a1, a2, a3, a10, a11, a12, a80, a81, a82, a83, a84, a85, a86, a87, a88, a89, a8a, a8b, a90, a100, a101, a102, "
    "a103, a104, a105, a106, a107, a108, a109, a10a, a10b, a10c, a110, a111, a120, a121, a122, a123, a124, a125, a126, "
    "a127, a128, a129, a130, a131, a132, a133, a134, a160, a161, a162, a163, a164, a165, a166, a170, a180, a181, a200, "
    "a201, a202, a210, a300, a301, a302, a400, a401, a402, a403, a404, a405, a406, a480, a481, a482, a500, a501, a502, "
    "a503, a40000211, a40000212, a80000001, ace534351, ace534352, ace534353, ace534354, ace534355, ace534356, "
    "ace534357, ace534358, ace534364, ace534365, ace534366, ace534367, ace534368, ace534369, ace534373, ace534374, "
    "ace536351, ace536352, ace536353, ace536354, ace536355, ace536356, ace536357, ace536358, ace536359, ace53635a, "
    "ace53635b, ace53635c, ace53635d, ace53635e, ace53635f, ace536360, ace5363b4, ace5363b5, ad5a0db00";
constexpr std::string_view kClass = "a0", kToken = "a1", kPrivate = "a2", kLabel = "a3", kValue = "a11", kType = "a80",
                           kIssuer = "a81", kSerial = "a82", kSubject = "a101", kId = "a102", kModifiable = "a170";
constexpr std::string_view kServers = "ace536358", kClients = "ace536359", kCode = "ace53635a", kMail = "ace53635b",
                           kStepUp = "ace536360", kHash = "ace5363b4";

// Numbers have four bytes, the first the highest, whatever the machine's order.
constexpr std::string_view kCertificateClass("\0\0\0\1", 4), kTrustClass("\xce\x53\x43\x53"), kX509("\0\0\0\0", 4);
constexpr std::string_view kTrustedToSign("\xce\x53\x43\x52"), kToVerify("\xce\x53\x43\x53"),
    kMaySign("\xce\x53\x43\x5b");
constexpr std::string_view kTrue("\1"), kFalse("\0", 1);
constexpr std::string_view kNothing("\xa5\x00\x5a", 3);  // a value that is there and empty
constexpr std::string_view kName = "microagent egress";

// One element of DER (X.690), and what it holds. Lengths of up to two bytes, which certificates do not go beyond.
struct Element {
  char tag = 0;
  std::string_view whole, content;
};

std::optional<Element> take_element(std::string_view& der) {
  if (der.size() < 2) return std::nullopt;
  std::size_t length = static_cast<std::uint8_t>(der[1]), head = 2;
  if (length >= 0x80) {
    const std::size_t more = length - 0x80;
    if (more < 1 || more > 2 || der.size() < head + more) return std::nullopt;
    length = 0;
    for (std::size_t i = 0; i < more; ++i) length = length << 8 | static_cast<std::uint8_t>(der[head + i]);
    head += more;
  }
  if (der.size() - head < length) return std::nullopt;
  const Element element{der[0], der.substr(0, head + length), der.substr(head, length)};
  der.remove_prefix(head + length);
  return element;
}

struct Names {
  std::string_view serial, issuer, subject;  // each a whole element
};

// RFC 5280, 4.1: version (which all but the oldest have), serial number, signature, issuer, validity, subject.
std::optional<Names> names_of(std::string_view certificate) {
  const auto outer = take_element(certificate);
  if (!outer || !certificate.empty()) return std::nullopt;
  std::string_view inner = outer->content;
  const auto body = take_element(inner);
  if (!body) return std::nullopt;
  inner = body->content;
  std::array<Element, 6> fields;
  for (Element& field : fields) {
    const auto element = take_element(inner);
    if (!element) return std::nullopt;
    field = *element;
  }
  if (static_cast<std::uint8_t>(fields[0].tag) != 0xa0) return std::nullopt;
  return Names{fields[1].whole, fields[3].whole, fields[5].whole};
}

std::string hash_of(std::string_view bytes) {
  Sha1 digest;
  digest.feed(bytes);
  const Sha1Digest end = digest.finish();
  return {end.begin(), end.end()};
}

// An object's number, by which NSS finds its signatures: another certificate's is another. 30 bits, as NSS has them.
std::uint32_t id_of(std::string_view hash) {
  std::uint32_t id = 0;
  for (const char c : hash.substr(0, 4)) id = id << 8 | static_cast<std::uint8_t>(c);
  return (id & 0x3ffffffe) | 2;
}

std::string text(std::string_view value) { return std::string(value); }

}  // namespace

std::optional<std::string> encode_nss_database(std::string_view certificate) {
  const auto names = names_of(certificate);
  if (!names) return std::nullopt;
  const std::string hash = hash_of(certificate), issuer(names->issuer), serial(names->serial);
  const std::uint32_t id = id_of(hash);
  const SqliteRow itself{id,
                         {{kClass, text(kCertificateClass)},
                          {kToken, text(kTrue)},
                          {kPrivate, text(kFalse)},
                          {kLabel, text(kName)},
                          {kValue, text(certificate)},
                          {kType, text(kX509)},
                          {kIssuer, issuer},
                          {kSerial, serial},
                          {kSubject, text(names->subject)},
                          {kId, hash},
                          {kModifiable, text(kTrue)}}};
  const SqliteRow trust{id + 1,
                        {{kClass, text(kTrustClass)},
                         {kToken, text(kTrue)},
                         {kPrivate, text(kFalse)},
                         {kLabel, text(kNothing)},
                         {kIssuer, issuer},
                         {kSerial, serial},
                         {kModifiable, text(kTrue)},
                         {kServers, text(kTrustedToSign)},
                         {kClients, text(kMaySign)},
                         {kCode, text(kToVerify)},
                         {kMail, text(kToVerify)},
                         {kStepUp, text(kFalse)},
                         {kHash, hash}}};
  return encode_sqlite("nssPublic", kColumns, {itself, trust}, kApplication);
}

bool is_our_nss_database(std::string_view file) { return is_untouched_sqlite(file, kApplication); }

bool may_replace_nss_database(std::string_view file) { return is_our_nss_database(file) || is_empty_sqlite(file); }

}  // namespace microagent::init
