#include "audit/verify.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "audit/chain.h"
#include "audit/lines.h"
#include "audit/record.h"
#include "base/fd.h"

namespace microagent::audit {

Result<Verified> verify(const std::filesystem::path& log) {
  const std::string name = log.string();
  const Fd file(::open(log.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, fmt::format("cannot open {}", name));

  std::string expected(kChainStart);
  const auto on_line = [&](std::uint64_t number, std::string_view line) -> Status {
    const auto record = parse_record(line);
    if (!record) return fail(ErrorKind::permanent, fmt::format("{}: line {} is not an audit record", name, number));
    if (record->prev != expected) {
      return fail(ErrorKind::permanent,
                  fmt::format("{}: the chain breaks at line {}: the line before it was changed, removed or moved", name,
                              number));
    }
    if (record->seq != number) {
      return fail(ErrorKind::permanent, fmt::format("{}: line {} has seq {}", name, number, record->seq));
    }
    expected = line_hash(line);
    return {};
  };
  const auto totals = for_each_line(file.get(), name, on_line);
  if (!totals) return fail(totals.error());
  return Verified{totals->lines, totals->torn_bytes};
}

}  // namespace microagent::audit
