#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace microagent {

// Bytes that are wiped when they are given up, lie on pages of their own that no core dump holds and, where the limit
// on locked memory allows it, no swap. Moved, never copied by accident.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t size);  // of zeros
  static Secret of(std::string_view bytes);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  Secret clone() const { return of(view()); }

  std::string_view view() const { return {data_, size_}; }
  std::span<char> bytes() { return {data_, size_}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Gives up what lies behind the first `size` bytes.
  void cut(std::size_t size);

 private:
  void give_up();

  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
};

// For what had to pass through an ordinary string: overwrites all that it holds room for, and empties it.
void wipe(std::string& text);

// Wipes a string when the block is left.
class Wiped {
 public:
  explicit Wiped(std::string& text) : text_(text) {}
  ~Wiped() { wipe(text_); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;

 private:
  std::string& text_;
};

}  // namespace microagent
