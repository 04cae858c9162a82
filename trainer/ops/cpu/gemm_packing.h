// How cpu_gemm.cc lays its operands out for small_product.h: b in panels of kLanes columns, a in
// blocks of rows. One thread does one call, into memory of the caller.
#pragma once

#include <optional>

#include "trainer/device/tensor.h"
#include "trainer/ops/cpu/small_product.h"

namespace llmctl {

// A matrix each of whose rows (or columns, then it is transposed) is one stretch of memory.
struct GemmOperand {
  const float* data;
  int64_t row, column;  // strides
  bool transposed;

  GemmOperand at(int64_t i, int64_t j) const {
    return {data + i * row + j * column, row, column, transposed};
  }
};

// None: a tensor of another type, device or layout, or an empty one.
std::optional<GemmOperand> gemm_operand(const at::Tensor& matrix);

// `columns` rounded up to whole panels; pack_panels() fills the rest with zeros.
int64_t in_panels(int64_t columns);

// The first `columns` of b over its first `depth` rows: panel after panel, each
// to[k * kLanes + lane].
void pack_panels(const GemmOperand& b, int64_t depth, int64_t columns, float* to);

// The first p.m rows of a over its first p.k columns, next to each other, or those of its transpose
// in tiles [k][kTileRows]; says in `p` how they lie.
void pack_rows(const GemmOperand& a, float* to, SmallProduct& p);
int64_t room_of_rows(int64_t rows, int64_t depth);  // numbers that pack_rows() may write

}  // namespace llmctl
