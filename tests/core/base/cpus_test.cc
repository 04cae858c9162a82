#include "core/base/cpus.h"

#include <gtest/gtest.h>

namespace llmctl {
namespace {

TEST(Cpus, QuotaIsTimePerPeriod) {
  EXPECT_EQ(cpu_quota("150000 100000"), 1.5);
  EXPECT_EQ(cpu_quota("50000 100000"), 0.5);
  for (const char* none : {"max 100000", "", "100000", "100000 ", "0 100000", "1 0", "-1 100000"}) {
    EXPECT_FALSE(cpu_quota(none)) << none;
  }
}

TEST(Cpus, UsableAreAtLeastOneAndAtMostTheAllowedOnes) {
  EXPECT_GE(usable_cpus(), 1);
  EXPECT_LE(usable_cpus(), static_cast<int32_t>(allowed_cpus().size()));
}

}  // namespace
}  // namespace llmctl
