// Every kernel of small_product.h that this CPU can run, against sums in double precision.
#include "trainer/ops/cpu/small_product.h"

#include <gtest/gtest.h>

#include <random>

namespace llmctl {
namespace {

std::vector<float> random_numbers(int64_t count) {
  static std::mt19937 engine(7);
  std::uniform_real_distribution<float> any(-1, 1);
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = any(engine);
  return numbers;
}

struct Case {
  int64_t m, n, k;
  bool transposed, panels, add;
};

// b lies in rows of n, or in panels of kLanes columns; rows of c are longer than n.
void expect_product(const SmallProductKernel& kernel, const Case& t) {
  const auto a = random_numbers(t.m * t.k), b = random_numbers(t.k * t.n);
  const int64_t c_row = t.n + 3;
  const auto before = random_numbers(t.m * c_row);
  auto c = before;
  const SmallProduct p = {t.m,
                          t.n,
                          t.k,
                          a.data(),
                          t.transposed ? 1 : t.k,
                          t.transposed ? t.m : 1,
                          b.data(),
                          t.panels ? kLanes : t.n,
                          t.panels ? kLanes * t.k : kLanes,
                          c.data(),
                          c_row,
                          t.add,
                          /*a_tile=*/0};
  kernel.multiply(p);
  for (int64_t i = 0; i < t.m; ++i) {
    for (int64_t j = 0; j < c_row; ++j) {
      const auto at = static_cast<size_t>(i * c_row + j);
      double want = t.add || j >= t.n ? before[at] : 0;
      for (int64_t x = 0; x < t.k && j < t.n; ++x) {
        want += static_cast<double>(p.a[i * p.a_row + x * p.a_column]) *
                p.b[x * p.b_row + j / kLanes * p.b_panel + j % kLanes];
      }
      ASSERT_NEAR(c[at], want, 1e-6 * static_cast<double>(t.k + 1)) << "row " << i << " of " << t.m;
    }
  }
}

TEST(SmallProduct, EveryKernelMultipliesEveryShape) {
  const auto kernels = small_product_kernels();
  ASSERT_GE(kernels.size(), 1U);
  for (const SmallProductKernel& kernel : kernels) {
    for (int64_t m = 1; m <= 14; ++m) {
      for (const int64_t n : {kLanes, 3 * kLanes}) {
        for (const int64_t k : {1, 7, 64}) {
          for (int choice = 0; choice < 8; ++choice) {
            const bool transposed = (choice & 1) != 0, panels = (choice & 2) != 0;
            expect_product(kernel, {m, n, k, transposed, panels, (choice & 4) != 0});
          }
        }
      }
    }
  }
}

TEST(SmallProduct, TilesOfRowsMayLieApart) {
  constexpr int64_t kRows = 15, kDepth = 9, kTile = kTileRows * kDepth + 5;
  const auto a = random_numbers(3 * kTile), b = random_numbers(kDepth * kLanes);
  std::vector<float> c(kRows * kLanes);
  for (const SmallProductKernel& kernel : small_product_kernels()) {
    SmallProduct p;
    p.m = kRows;
    p.n = kLanes;
    p.k = kDepth;
    p.a = a.data();
    p.a_row = 1;
    p.a_column = kTileRows;
    p.a_tile = kTile;
    p.b = b.data();
    p.b_row = kLanes;
    p.c = c.data();
    p.c_row = kLanes;
    kernel.multiply(p);
    for (int64_t i = 0; i < kRows; ++i) {
      double want = 0;
      for (int64_t x = 0; x < kDepth; ++x) {
        const int64_t at = i / kTileRows * kTile + x * kTileRows + i % kTileRows;
        want +=
            static_cast<double>(a[static_cast<size_t>(at)]) * b[static_cast<size_t>(x * kLanes)];
      }
      EXPECT_NEAR(c[static_cast<size_t>(i * kLanes)], want, 1e-5) << i;
    }
  }
}

TEST(SmallProduct, EveryKernelPacksATransposedPanel) {
  for (const SmallProductKernel& kernel : small_product_kernels()) {
    for (const int64_t k : {1, 7, 8, 9, 40}) {
      const int64_t stride = k + 3;
      const auto from = random_numbers(kLanes * stride);
      std::vector<float> to(static_cast<size_t>(k * kLanes + 1), -1);
      kernel.pack_transposed(from.data(), stride, k, to.data());
      for (int64_t i = 0; i < k * kLanes; ++i) {
        EXPECT_EQ(to[static_cast<size_t>(i)],
                  from[static_cast<size_t>(i % kLanes * stride + i / kLanes)]);
      }
      EXPECT_EQ(to.back(), -1);
    }
  }
}

}  // namespace
}  // namespace llmctl
