// The rotation of operators.h, by row of pairs (i, i + half) of a head, of which the first 2 half
// numbers turn: in place on the fused rows, and turned back while a gradient is gathered from [B,
// heads, S, D] tensors of any strides into one row. Angles are fp32. What is counted by element is
// of 32 bits: a GPU divides 64 bits in a hundred instructions.
#pragma once

#include "trainer/ops/cuda/kernels/lanes.h"

namespace llmctl::kernels {

struct Angles {
  const float *cosine, *sine;  // [positions, half]
};

template <class Number>
struct Rotate {
  Number* rows;  // [T, row]
  Angles angles;
  int64_t sequence, first_position, row;
  int32_t turned_heads, dim, half;

  LLMCTL_DEVICE void operator()(int64_t t, const Lanes& l) const {
    const int64_t angle = (first_position + t % sequence) * half;
    const float *cosine = angles.cosine + angle, *sine = angles.sine + angle;
    for (int32_t i = l.lane; i < turned_heads * half; i += l.lanes) {
      const int32_t pair = i % half;
      Number* a = rows + t * row + i / half * dim + pair;
      const float c = cosine[pair], s = sine[pair];
      const auto x = static_cast<float>(a[0]), y = static_cast<float>(a[half]);
      a[0] = static_cast<Number>(x * c - y * s);
      a[half] = static_cast<Number>(y * c + x * s);
    }
  }
};

template <class Number>
struct HeadGradient {
  const Number* data;
  int64_t batch, head, row;  // strides in elements; the last one is 1
};

template <class Number>
struct RotateBack {
  HeadGradient<Number> q, k, v;
  Number* rows;  // [T, (heads + 2 kv_heads) * D]
  Angles angles;
  int64_t sequence;
  int32_t heads, kv_heads, dim, half;

  LLMCTL_DEVICE void operator()(int64_t t, const Lanes& l) const {
    const int32_t all = heads + 2 * kv_heads, pairs = dim / 2;
    const int64_t batch = t / sequence, position = t % sequence;
    for (int32_t i = l.lane; i < all * pairs; i += l.lanes) {
      const int32_t head = i / pairs;
      const bool is_q = head < heads, is_v = head >= heads + kv_heads;
      const HeadGradient<Number>& part = is_q ? q : is_v ? v : k;
      const int32_t h = is_q ? head : is_v ? head - heads - kv_heads : head - heads;
      const Number* from = part.data + batch * part.batch + h * part.head + position * part.row;
      turn(from, rows + (t * all + head) * dim, i % pairs, is_v ? 0 : half, position * half);
    }
  }

 private:
  // One pair of the first 2 `turned` numbers, or two neighbours behind them, which stay as they
  // are.
  LLMCTL_DEVICE void turn(
      const Number* from, Number* to, int32_t pair, int32_t turned, int64_t angle) const {
    if (pair >= turned) {
      to[2 * pair] = from[2 * pair];
      to[2 * pair + 1] = from[2 * pair + 1];
      return;
    }
    const float c = angles.cosine[angle + pair], s = angles.sine[angle + pair];
    const auto x = static_cast<float>(from[pair]), y = static_cast<float>(from[pair + turned]);
    to[pair] = static_cast<Number>(x * c + y * s);
    to[pair + turned] = static_cast<Number>(y * c - x * s);
  }
};

}  // namespace llmctl::kernels
