#include "trainer/ops/cpu/small_product.h"

// The same code for each width of registers. Clones of one function (trainer/ops/cpu/simd.h) will
// not do: before it clones, GCC takes vectors apart that the plain processor does not have.
#if defined(__x86_64__) && !defined(__clang__)
#define LLMCTL_WIDE_VECTORS
#pragma GCC push_options
#pragma GCC target("avx512f")
namespace llmctl::avx512 {
inline constexpr int kVectorBytes = 64;
#include "trainer/ops/cpu/small_product_tile.inc"
}  // namespace llmctl::avx512
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace llmctl::avx2 {
inline constexpr int kVectorBytes = 32;
#include "trainer/ops/cpu/small_product_tile.inc"
}  // namespace llmctl::avx2
#pragma GCC pop_options
#endif

namespace llmctl::plain {
inline constexpr int kVectorBytes = 16;
#include "trainer/ops/cpu/small_product_tile.inc"
}  // namespace llmctl::plain

namespace llmctl {

std::vector<SmallProductKernel> small_product_kernels() {
  std::vector<SmallProductKernel> kernels;
#if defined(LLMCTL_WIDE_VECTORS)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") != 0) {
    kernels.push_back({avx512::multiply, avx512::pack_transposed});
  }
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    kernels.push_back({avx2::multiply, avx2::pack_transposed});
  }
#endif
  kernels.push_back({plain::multiply, plain::pack_transposed});
  return kernels;
}

static const SmallProductKernel& fastest() {
  static const SmallProductKernel kernel = small_product_kernels().front();
  return kernel;
}

void multiply(const SmallProduct& product) {
  fastest().multiply(product);
}

void pack_transposed(const float* from, int64_t stride, int64_t k, float* to) {
  fastest().pack_transposed(from, stride, k, to);
}

}  // namespace llmctl
