// Our own products against LibTorch's in double precision: every layout and awkward size.
#include "trainer/ops/cpu/cpu_gemm.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include <gtest/gtest.h>

#include "trainer/ops/linear.h"

namespace llmctl {
namespace {

// Entries of a sum of k products of numbers around 1, each rounded to fp32.
double tolerance(int64_t k) {
  return 1e-6 * static_cast<double>(k + 10);
}

// A view of [rows, columns] that lies in memory as it is, transposed, or inside a larger matrix.
at::Tensor laid_out(int64_t rows, int64_t columns, int layout) {
  if (layout == 0) return at::randn({rows, columns});
  if (layout == 1) return at::randn({columns, rows}).t();
  return at::randn({rows + 3, columns + 5}).narrow(0, 1, rows).narrow(1, 2, columns);
}

void expect_product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out) {
  const at::Tensor want = at::mm(a.to(at::kDouble), b.to(at::kDouble));
  EXPECT_LE((out - want).abs().max().item<double>(), tolerance(a.size(1)))
      << a.sizes() << " x " << b.sizes() << ", strides " << a.strides() << " and " << b.strides();
}

class CpuGemm : public ::testing::Test {
 protected:
  CpuGemm() { at::manual_seed(7); }
  const bool ours = cpu_gemm::name() != "LibTorch";
};

TEST_F(CpuGemm, EqualsDoublePrecisionInEveryLayout) {
  for (const auto& [m, k, n] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                   {1, 64, 257},
                                                                   {257, 64, 1},
                                                                   {5, 3, 7},
                                                                   {64, 1, 64},
                                                                   {130, 33, 71},
                                                                   {48, 512, 1'000},
                                                                   {16, 9, 16},
                                                                   {300, 257, 40},
                                                                   {70, 1'100, 1'050}}) {
    for (int layout = 0; layout < 9; ++layout) {
      const at::Tensor a = laid_out(m, k, layout % 3), b = laid_out(k, n, layout / 3);
      at::Tensor out = laid_out(m, n, layout % 2 * 2).fill_(1e30F);
      const bool taken = ours && std::min(m, n) >= 16;
      EXPECT_EQ(cpu_gemm::multiply(out, a, b, false), taken);
      if (taken) expect_product(a, b, out);
      expect_product(a, b, product(a, b));
    }
  }
}

TEST_F(CpuGemm, AddsToWhatIsThere) {
  const at::Tensor a = at::randn({70, 600}), b = at::randn({600, 50});
  const at::Tensor before = at::randn({70, 50});
  at::Tensor sum = before.clone();
  add_product(sum, a, b);
  expect_product(a, b, sum - before);
}

TEST_F(CpuGemm, RepeatsToTheBitAndReadsNothingThatItWrites) {
  const at::Tensor a = at::randn({200, 300}), b = at::randn({300, 104});
  at::Tensor first = at::full({200, 104}, std::nan("")), second = at::zeros({200, 104});
  product_into(first, a, b);
  product_into(second, a, b);
  EXPECT_TRUE(at::equal(first, second));
}

TEST_F(CpuGemm, GivesTheSameBitsWithAnyNumberOfThreads) {
  if (!ours) GTEST_SKIP() << "LibTorch multiplies on this CPU";
  const at::Tensor a = at::randn({333, 700}), b = at::randn({90, 700}).t();
  const int threads = at::get_num_threads();
  const at::Tensor want = product(a, b);
  for (const int other : {1, 2, 3, 5}) {
    at::set_num_threads(other);
    EXPECT_TRUE(at::equal(product(a, b), want)) << other;
  }
  at::set_num_threads(threads);
}

TEST_F(CpuGemm, WeightsPackedForManyProductsChangeNoBit) {
  if (!ours) GTEST_SKIP() << "LibTorch multiplies on this CPU";
  for (const auto& [out, in] :
       std::vector<std::pair<int64_t, int64_t>>{{40, 24}, {100, 100}, {1'050, 70}, {17, 1'100}}) {
    at::Tensor weight = at::randn({out, in});
    const at::Tensor x = at::randn({33, in}), dy = at::randn({33, out});
    cpu_gemm::PackedWeights packed({weight});
    for (int change = 0; change < 2; ++change) {
      const at::Tensor y = product(x, weight.t()), dx = product(dy, weight);
      const cpu_gemm::PackedWeights::Use use(&packed);
      for (int again = 0; again < 2; ++again) {
        EXPECT_TRUE(at::equal(product(x, weight.t()), y));
        EXPECT_TRUE(at::equal(product(dy, weight), dx));
      }
      weight.normal_();
      EXPECT_TRUE(at::equal(product(dy, weight), dx)) << "nobody said that it changed";
      packed.forget();
    }
    // A matrix that begins at the same place.
    const cpu_gemm::PackedWeights::Use use(&packed);
    const at::Tensor part = weight.narrow(0, 0, 16);
    expect_product(x, part.t(), product(x, part.t()));
  }
}

TEST_F(CpuGemm, LeavesToLibTorchWhatItHasNoFormFor) {
  const at::Tensor a = at::randn({24, 24}), b = at::randn({24, 24});
  at::Tensor out = at::zeros({24, 24}), columns = at::zeros({24, 24}).t();
  EXPECT_FALSE(cpu_gemm::multiply(columns, a, b, false));
  EXPECT_FALSE(cpu_gemm::multiply(out, a.to(at::kDouble), b, false));
  EXPECT_FALSE(cpu_gemm::multiply(out, at::randn({24, 1}).expand({24, 24}), b, false));
  EXPECT_FALSE(cpu_gemm::multiply(out, at::randn({24, 48}).slice(1, 0, 48, 2), b, false));
  EXPECT_EQ(out.abs().sum().item<double>(), 0);
  expect_product(a.slice(0, 0, 24, 2), b, product(a.slice(0, 0, 24, 2), b));
}

TEST_F(CpuGemm, IsChosenOnAmd) {
  __builtin_cpu_init();
  const bool amd = __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx2") != 0;
  EXPECT_EQ(ours, amd) << cpu_gemm::name();
}

}  // namespace
}  // namespace llmctl
