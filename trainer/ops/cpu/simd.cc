#include "trainer/ops/cpu/simd.h"

namespace llmctl {

SIMD_CLONES void add_row(float* to, const float* row, int64_t width) {
  for (int64_t i = 0; i < width; ++i) to[i] += row[i];
}

}  // namespace llmctl
