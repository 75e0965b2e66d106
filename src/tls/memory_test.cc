#include "tls/memory.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

namespace microagent::tls {
namespace {

// In a process of its own, where OpenSSL has not been used yet.
bool holds_in_a_fresh_process(const std::function<bool()>& claim) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(claim() ? 0 : 1);
  int status = -1;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// ctest runs each test in a process of its own.
class Memory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (CRYPTO_set_mem_functions(nullptr, nullptr, nullptr) != 1) GTEST_SKIP() << "OpenSSL is in use here already";
  }
};

TEST_F(Memory, GivesTheBufferOfARecordToTheNextWhoNeedsOne) {
  EXPECT_TRUE(holds_in_a_fresh_process([] {
    keep_buffers();
    void* const first = OPENSSL_malloc(49'152);
    OPENSSL_free(first);
    void* const second = OPENSSL_malloc(49'000);
    return second == first;
  }));
}

TEST_F(Memory, GivesNobodyABufferThatIsTooSmallOrInUse) {
  EXPECT_TRUE(holds_in_a_fresh_process([] {
    keep_buffers();
    void* const small = OPENSSL_malloc(16'584);
    OPENSSL_free(small);
    void* const large = OPENSSL_malloc(49'152);
    void* const other = OPENSSL_malloc(49'152);
    return large != small && other != large;
  }));
}

TEST_F(Memory, KeepsWhatIsInABlockThatGrows) {
  EXPECT_TRUE(holds_in_a_fresh_process([] {
    keep_buffers();
    char* block = static_cast<char*>(OPENSSL_malloc(20'000));
    std::memset(block, 'a', 20'000);
    block = static_cast<char*>(OPENSSL_realloc(block, 200'000));
    bool same = true;
    for (int i = 0; i < 20'000; ++i) same = same && block[i] == 'a';
    OPENSSL_free(block);
    return same;
  }));
}

}  // namespace
}  // namespace microagent::tls
