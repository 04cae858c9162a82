// Patience: tests of real processes wait for what happens, never for a time. The only deadline
// there is ends a hang, so that the test fails with words instead of standing still; a machine that
// is many times slower, or busy with other work, never reaches it. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

namespace llmctl::testing {

inline constexpr std::chrono::minutes kPatience{10};
inline constexpr int64_t kPatienceMs = std::chrono::milliseconds(kPatience).count();

// Asks `holds` again and again; false when it has not held for kPatience.
template <class Condition>
bool eventually(const Condition& holds,
                std::chrono::milliseconds pause = std::chrono::milliseconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

}  // namespace llmctl::testing
