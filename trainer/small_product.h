// Matrix products of blocks that stay in a core's cache, for attention_cpu.cc: one thread, 6 x 16
// numbers of the result in registers at a time (twelve of AVX2's sixteen, six of AVX-512's).
#pragma once

#include <cstdint>
#include <vector>

namespace llmctl {

inline constexpr int64_t kLanes = 16;  // columns of a tile

// c[m, n] (+)= sum over k of a(m, k) * b(k, n).
struct SmallProduct {
  int64_t m = 0, n = 0, k = 0;  // n is a multiple of kLanes
  const float* a = nullptr;
  int64_t a_row = 0, a_column = 1;  // strides: a column of 1 or more gives the transpose, too
  const float* b = nullptr;
  int64_t b_row = 0, b_panel = kLanes;  // from one row, and from kLanes columns, to the next
  float* c = nullptr;
  int64_t c_row = 0;
  bool add = false;
};
void multiply(const SmallProduct& product);

// What multiply() chooses from: those that this CPU can run, the fastest first.
using SmallProductKernel = void (*)(SmallProduct);
std::vector<SmallProductKernel> small_product_kernels();

}  // namespace llmctl
