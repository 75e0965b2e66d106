// A log that anybody may have written into: a writer goes on with it or refuses it as it is, and what it goes on with
// is read and closed.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "audit/filter.h"
#include "audit/reader.h"
#include "audit/verify.h"
#include "audit/writer.h"
#include "base/check.h"

namespace microagent::audit {
namespace {

namespace fs = std::filesystem;

// In memory where the host has such a place; gone with the process.
const fs::path& directory() {
  static const struct Directory {
    Directory() {
      std::string pattern = fs::exists("/dev/shm") ? "/dev/shm/audit-fuzz-XXXXXX" : "/tmp/audit-fuzz-XXXXXX";
      MICROAGENT_CHECK(::mkdtemp(pattern.data()) != nullptr);
      path = pattern;
    }
    ~Directory() { fs::remove_all(path); }
    fs::path path;
  } made;
  return made.path;
}

void run(std::string_view content) {
  const fs::path log = directory() / "egress.jsonl";
  for (const auto& entry : fs::directory_iterator(directory())) fs::remove(entry.path());
  std::ofstream(log, std::ios::binary) << content;

  const auto sink = [](const ParsedRecord& record, std::string_view) -> Status {
    matches({.host = ".com", .since = "2026", .denied = true}, record);
    return {};
  };
  static_cast<void>(Reader(log).read_on(sink));
  const bool was_whole = verify(log).has_value();
  auto writer = Writer::open(log, "web", [] { return std::string("t"); });
  if (!writer) {
    std::ostringstream left;
    left << std::ifstream(log, std::ios::binary).rdbuf();
    MICROAGENT_CHECK(!was_whole && left.str() == content);
    return;
  }
  MICROAGENT_CHECK(writer->write(Event::deny, 0, {{"host", "a"}}));
  MICROAGENT_CHECK(Reader(log).read_on(sink));
  MICROAGENT_CHECK(!was_whole || verify(log));
}

}  // namespace
}  // namespace microagent::audit

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  microagent::audit::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
