#include "trainer/small_product.h"

#include "trainer/simd.h"

namespace llmctl {
namespace {

constexpr int kTileRows = 6;

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

// kRows x kLanes numbers of c.
template <int kRows>
[[gnu::always_inline]] inline void tile(const SmallProduct& p,
                                        const float* a,
                                        const float* b,
                                        float* c) {
  Lanes sum[kRows];
  for (int r = 0; r < kRows; ++r) {
    sum[r] = p.add ? *reinterpret_cast<const Lanes*>(c + r * p.c_row) : Lanes{};
  }
  for (int64_t k = 0; k < p.k; ++k, a += p.a_column, b += p.b_row) {
    const Lanes row = *reinterpret_cast<const Lanes*>(b);
    for (int r = 0; r < kRows; ++r) sum[r] += a[r * p.a_row] * row;
  }
  for (int r = 0; r < kRows; ++r) *reinterpret_cast<Lanes*>(c + r * p.c_row) = sum[r];
}

[[gnu::always_inline]] inline void last_rows(
    const SmallProduct& p, int64_t rows, const float* a, const float* b, float* c) {
  switch (rows) {
    case 5:
      return tile<5>(p, a, b, c);
    case 4:
      return tile<4>(p, a, b, c);
    case 3:
      return tile<3>(p, a, b, c);
    case 2:
      return tile<2>(p, a, b, c);
    case 1:
      return tile<1>(p, a, b, c);
    default:
      return;
  }
}

}  // namespace

SIMD_CLONES void multiply(const SmallProduct& product) {
  const SmallProduct p = product;
  for (int64_t n = 0; n < p.n; n += kLanes) {
    const float* b = p.b + n / kLanes * p.b_panel;
    int64_t m = 0;
    for (; m + kTileRows <= p.m; m += kTileRows) {
      tile<kTileRows>(p, p.a + m * p.a_row, b, p.c + m * p.c_row + n);
    }
    last_rows(p, p.m - m, p.a + m * p.a_row, b, p.c + m * p.c_row + n);
  }
}

}  // namespace llmctl
