#include "trainer/ops/cpu/gemm_packing.h"

#include <algorithm>
#include <cstring>

namespace llmctl {

static constexpr int64_t kAhead = 8;  // rows

static bool lies_in_rows(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  return (column == 1 || columns == 1) && (row >= columns || rows == 1);
}

std::optional<GemmOperand> gemm_operand(const at::Tensor& t) {
  if (!t.is_cpu() || t.scalar_type() != at::kFloat || t.dim() != 2 || t.numel() == 0) return {};
  const int64_t m = t.size(0), n = t.size(1), row = t.stride(0), column = t.stride(1);
  const auto* data = t.const_data_ptr<float>();
  if (lies_in_rows(m, n, row, column)) return GemmOperand{data, row, column, false};
  if (lies_in_rows(n, m, column, row)) return GemmOperand{data, row, column, true};
  return {};
}

int64_t in_panels(int64_t columns) {
  return (columns + kLanes - 1) / kLanes * kLanes;
}

// Rows that lie far apart do not come by themselves in time.
static void prefetch(const float* from, int64_t numbers) {
  for (int64_t i = 0; i < numbers; i += kLanes) __builtin_prefetch(from + i);
}

// The last columns of b, fewer than a panel has; the others are zero.
static void pack_last_panel(const GemmOperand& b, int64_t depth, int64_t columns, float* to) {
  for (int64_t k = 0; k < depth; ++k, to += kLanes) {
    const float* from = b.data + k * b.row;
    for (int64_t j = 0; j < kLanes; ++j) to[j] = j < columns ? from[j * b.column] : 0;
  }
}

void pack_panels(const GemmOperand& b, int64_t depth, int64_t columns, float* to) {
  const int64_t whole = columns / kLanes * kLanes;
  if (b.transposed) {
    for (int64_t j = 0; j < whole; j += kLanes) {
      pack_transposed(b.data + j * b.column, b.column, depth, to + j * depth);
    }
  } else {
    for (int64_t k = 0; k < depth; ++k) {
      const float* from = b.data + k * b.row;
      if (k + kAhead < depth) prefetch(from + kAhead * b.row, whole);
      for (int64_t j = 0; j < whole; j += kLanes) {
        std::memcpy(to + j * depth + k * kLanes, from + j, kLanes * sizeof(float));
      }
    }
  }
  if (whole < columns) pack_last_panel(b.at(0, whole), depth, columns - whole, to + whole * depth);
}

int64_t room_of_rows(int64_t rows, int64_t depth) {
  return (rows + kTileRows) * (depth + kLanes) + kLanes;
}

// Gaps keep rows from falling on the same places of a cache.
void pack_rows(const GemmOperand& a, float* to, SmallProduct& p) {
  p.a = to;
  if (!a.transposed) {
    p.a_row = p.k + kLanes;
    for (int64_t i = 0; i < p.m; ++i) {
      std::memcpy(to + i * p.a_row, a.data + i * a.row, static_cast<size_t>(p.k) * sizeof(float));
    }
    return;
  }
  p.a_row = 1;
  p.a_column = kTileRows;
  p.a_tile = p.k * kTileRows + 8;
  for (int64_t k = 0; k < p.k; ++k) {
    const float* from = a.data + k * a.column;
    if (k + kAhead < p.k) prefetch(from + kAhead * a.column, p.m);
    float* tile = to + k * kTileRows;
    int64_t i = 0;
    // Eight at once; the next k writes over the last two.
    for (; i + 8 <= p.m; i += kTileRows, tile += p.a_tile) {
      std::memcpy(tile, from + i, 8 * sizeof(float));
    }
    for (; i < p.m; i += kTileRows, tile += p.a_tile) {
      std::copy_n(from + i, std::min(kTileRows, p.m - i), tile);
    }
  }
}

}  // namespace llmctl
