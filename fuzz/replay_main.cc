// A main for a fuzz target in an ordinary build: shows it the empty input and then every file named, or lying in a
// directory named, once each. A directory that is not there is an empty corpus; a file that cannot be read is an error.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

bool replay(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) {
    std::fprintf(stderr, "cannot read %s\n", file.c_str());
    return false;
  }
  // Said before it runs: when the target aborts, this line is the last.
  std::printf("%s, %zu bytes\n", file.c_str(), bytes.size());
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return true;
}

bool replay_all(const fs::path& place) {
  if (!fs::is_directory(place)) return !fs::exists(place) || replay(place);
  bool all = true;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(place)) {
    if (entry.is_regular_file()) all = replay(entry.path()) && all;
  }
  return all;
}

}  // namespace

int main(int count, char** words) {
  LLVMFuzzerTestOneInput(nullptr, 0);
  bool all = true;
  for (int i = 1; i < count; ++i) all = replay_all(words[i]) && all;
  return all ? 0 : 1;
}
