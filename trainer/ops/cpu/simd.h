// What the fused CPU kernels share: one function compiled for several instruction sets, and an
// exponential that vectorizes. The kernels are plain loops; the compiler does the rest
// (trainer/CMakeLists.txt lets it reorder sums and contract, but keeps NaN and infinity).
#pragma once

#include <cstdint>
#include <cstring>

// The best clone for this CPU is chosen once, when the program is loaded.
#if defined(__x86_64__) && !defined(__clang__)
#define SIMD_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), noinline))
#else
#define SIMD_CLONES
#endif

namespace llmctl {

// Parts that rows are cut into for sums over them: a constant, so that the order of additions is
// the same for any number of threads.
inline constexpr int64_t kRowParts = 32;

// Rows of so many elements that are worth a thread.
inline int64_t row_grain(int64_t width) {
  constexpr int64_t kElements = 8'192;
  return width < kElements ? kElements / width : 1;
}

void add_row(float* to, const float* row, int64_t width);

// exp(x) with a relative error below 3e-7; saturates instead of overflowing, keeps NaN.
// Cody-Waite reduction and a degree-6 polynomial on [-ln2/2, ln2/2].
[[gnu::always_inline]] inline float simd_exp(float x) {
  const float low = x < -87.0f ? -87.0f : x;
  const float clamped = low > 88.0f ? 88.0f : low;
  const float n = __builtin_rintf(clamped * 1.44269504088896341f);
  const float r = clamped - n * 0.693145751953125f - n * 1.428606765330187e-6f;
  float p = 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale = 0;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

}  // namespace llmctl
