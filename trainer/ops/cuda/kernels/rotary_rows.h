// The rotation of operators.h, by pair (i, i + half) of a head, of which the first 2 half numbers
// turn: in place on the fused rows, and turned back while a gradient is gathered from [B, heads, S,
// D] tensors of any strides into one row. Angles are fp32.
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
  int64_t sequence, first_position, row, turned_heads, dim, half;

  LLMCTL_DEVICE void operator()(int64_t i) const {  // of [T, turned_heads, half]
    const int64_t pair = i % half, head = i / half % turned_heads, t = i / half / turned_heads;
    Number* a = rows + t * row + head * dim + pair;
    const int64_t angle = (first_position + t % sequence) * half + pair;
    const float c = angles.cosine[angle], s = angles.sine[angle];
    const auto x = static_cast<float>(a[0]), y = static_cast<float>(a[half]);
    a[0] = static_cast<Number>(x * c - y * s);
    a[half] = static_cast<Number>(y * c + x * s);
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
  int64_t sequence, heads, kv_heads, dim, half;

  LLMCTL_DEVICE void operator()(int64_t i) const {  // of [T, heads + 2 kv_heads, D/2]
    const int64_t all = heads + 2 * kv_heads, pairs = dim / 2;
    const int64_t pair = i % pairs, head = i / pairs % all, t = i / pairs / all;
    const bool is_q = head < heads, is_v = head >= heads + kv_heads;
    const HeadGradient<Number>& part = is_q ? q : is_v ? v : k;
    const int64_t h = is_q ? head : is_v ? head - heads - kv_heads : head - heads;
    const Number* from =
        part.data + t / sequence * part.batch + h * part.head + t % sequence * part.row;
    Number* to = rows + (t * all + head) * dim;
    if (is_v || pair >= half) {  // nothing turns: two neighbours
      to[2 * pair] = from[2 * pair];
      to[2 * pair + 1] = from[2 * pair + 1];
      return;
    }
    const int64_t angle = t % sequence * half + pair;
    const float c = angles.cosine[angle], s = angles.sine[angle];
    const auto x = static_cast<float>(from[pair]), y = static_cast<float>(from[pair + half]);
    to[pair] = static_cast<Number>(x * c + y * s);
    to[pair + half] = static_cast<Number>(y * c - x * s);
  }
};

}  // namespace llmctl::kernels
