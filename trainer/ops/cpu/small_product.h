// Matrix products of blocks that stay in a core's cache, for attention.cc and cpu_gemm.cc: one
// thread, 6 x 16 numbers of the result in registers at a time (twelve of AVX2's sixteen, six of
// AVX-512's).
#pragma once

#include <cstdint>
#include <vector>

namespace llmctl {

inline constexpr int64_t kLanes = 16;    // columns of a tile
inline constexpr int64_t kTileRows = 6;  // rows of a tile

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
  int64_t a_tile = 0;  // from kTileRows rows of a to the next; 0: they follow each other
};
void multiply(const SmallProduct& product);

// A panel of b from rows of its transpose: to[k * kLanes + lane] = from[lane * stride + k].
void pack_transposed(const float* from, int64_t stride, int64_t k, float* to);

// What these choose from: those that this CPU can run, the fastest first.
struct SmallProductKernel {
  void (*multiply)(SmallProduct);
  void (*pack_transposed)(const float* from, int64_t stride, int64_t k, float* to);
};
std::vector<SmallProductKernel> small_product_kernels();

}  // namespace llmctl
