// Products of OpenBLAS against LibTorch's in double precision: every layout and awkward size.
#include "trainer/cpu_gemm.h"

#include <gtest/gtest.h>

#include "trainer/linear.h"

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
                                                                   {300, 257, 40}}) {
    for (int layout = 0; layout < 9; ++layout) {
      const at::Tensor a = laid_out(m, k, layout % 3), b = laid_out(k, n, layout / 3);
      at::Tensor out = laid_out(m, n, layout % 2 * 2).fill_(1e30F);
      EXPECT_EQ(cpu_gemm::multiply(out, a, b, false), ours);
      if (ours) expect_product(a, b, out);
      expect_product(a, b, product(a, b));
    }
  }
}

TEST_F(CpuGemm, AddsToWhatIsThere) {
  const at::Tensor a = at::randn({70, 33}), b = at::randn({33, 50}), before = at::randn({70, 50});
  at::Tensor sum = before.clone();
  add_product(sum, a, b);
  expect_product(a, b, sum - before);
}

TEST_F(CpuGemm, RepeatsToTheBitAndReadsNothingThatItWrites) {
  const at::Tensor a = at::randn({200, 300}), b = at::randn({300, 100});
  at::Tensor first = at::full({200, 100}, std::nan("")), second = at::zeros({200, 100});
  product_into(first, a, b);
  product_into(second, a, b);
  EXPECT_TRUE(at::equal(first, second));
}

TEST_F(CpuGemm, LeavesToLibTorchWhatItHasNoFormFor) {
  const at::Tensor a = at::randn({8, 8}), b = at::randn({8, 8});
  at::Tensor out = at::zeros({8, 8}), columns = at::zeros({8, 8}).t();
  EXPECT_FALSE(cpu_gemm::multiply(columns, a, b, false));
  EXPECT_FALSE(cpu_gemm::multiply(out, a.to(at::kDouble), b, false));
  EXPECT_FALSE(cpu_gemm::multiply(out, at::randn({8, 1}).expand({8, 8}), b, false));
  EXPECT_FALSE(cpu_gemm::multiply(out, at::randn({8, 16}).slice(1, 0, 16, 2), b, false));
  EXPECT_EQ(out.abs().sum().item<double>(), 0);
  expect_product(a.slice(0, 0, 8, 2), b, product(a.slice(0, 0, 8, 2), b));
}

TEST_F(CpuGemm, IsChosenOnAmdWhereDebiansLibraryIsInstalled) {
  __builtin_cpu_init();
  const bool amd = __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx2") != 0;
  EXPECT_EQ(ours, amd) << cpu_gemm::name();  // ./dev setup installs it
}

}  // namespace
}  // namespace llmctl
