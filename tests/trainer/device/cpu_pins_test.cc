#include "trainer/device/cpu_pins.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/base/cpus.h"

namespace llmctl {
namespace {

// Only the claims of this test count, and no CPU is too busy for it.
CpuPins::Rules rules() {
  return {2, "llmctl-test-" + std::to_string(getpid()) + "-"};
}

// Pins a thread of its own, so that the test's stays as it is.
struct Pinned {
  std::vector<int> cpus, allowed;
};
Pinned pin(CpuPins& pins, int threads) {
  Pinned pinned;
  std::thread([&] {
    pinned.cpus = pins.pin(threads);
    pinned.allowed = allowed_cpus();
  }).join();
  return pinned;
}

TEST(CpuPins, GiveEveryRunCpusOfItsOwnWhileItLives) {
  const std::vector<int> all = allowed_cpus();
  if (all.size() < 2) GTEST_SKIP() << "one CPU: nothing to choose";
  const int rest = static_cast<int>(all.size()) - 1;
  CpuPins first(rules()), second(rules());
  {
    CpuPins other(rules());
    const Pinned most = pin(other, rest);
    EXPECT_EQ(most.cpus.size(), all.size() - 1);
    EXPECT_EQ(most.allowed, most.cpus);
    const Pinned one = pin(first, 1);
    ASSERT_EQ(one.cpus.size(), 1u);
    EXPECT_EQ(std::count(most.cpus.begin(), most.cpus.end(), one.cpus[0]), 0);
    const Pinned none = pin(second, 1);
    EXPECT_TRUE(none.cpus.empty()) << "all are taken";
    EXPECT_EQ(none.allowed, all);
  }
  EXPECT_EQ(pin(second, 1).cpus.size(), 1u) << "free again";
}

TEST(CpuPins, LeaveThreadsAloneThatNeedEveryCpu) {
  CpuPins pins(rules());
  const std::vector<int> all = allowed_cpus();
  const Pinned pinned = pin(pins, static_cast<int>(all.size()));
  EXPECT_TRUE(pinned.cpus.empty());
  EXPECT_EQ(pinned.allowed, all);
  if (all.size() < 2) return;
  CpuPins other(rules());
  EXPECT_TRUE(pin(other, 1).cpus.empty()) << "taken, though nobody is pinned to it";
}

TEST(CpuPins, AvoidCpusThatAreBusy) {
  CpuPins::Rules strict = rules();
  strict.busiest = 0;  // as if every CPU were
  CpuPins pins(strict);
  EXPECT_TRUE(pin(pins, 1).cpus.empty());
}

}  // namespace
}  // namespace llmctl
