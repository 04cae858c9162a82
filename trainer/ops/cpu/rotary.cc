#include "trainer/ops/cpu/operators.h"

#include <cstring>

#include "trainer/ops/cpu/simd.h"

namespace llmctl::cpu {
namespace {

struct HeadParts {
  int64_t dim, pairs;
};

SIMD_CLONES void turn(float* head, const float* cosine, const float* sine, int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = head[i], b = head[i + half];
    head[i] = a * cosine[i] - b * sine[i];
    head[i + half] = b * cosine[i] + a * sine[i];
  }
}

// A head may turn in its first part only; the rest is copied.
SIMD_CLONES void turn_back(
    const float* from, float* to, const float* cosine, const float* sine, HeadParts parts) {
  const int64_t half = parts.pairs;
  for (int64_t i = 2 * half; i < parts.dim; ++i) to[i] = from[i];
  for (int64_t i = 0; i < half; ++i) {
    const float a = from[i], b = from[i + half];
    to[i] = a * cosine[i] + b * sine[i];
    to[i + half] = b * cosine[i] - a * sine[i];
  }
}

// A [B, heads, S, D] tensor addressed by token and head.
struct HeadReader {
  explicit HeadReader(const at::Tensor& t)
      : data(t.const_data_ptr<float>()), batch(t.stride(0)), head(t.stride(1)), row(t.stride(2)) {}
  const float* at(int64_t b, int64_t h, int64_t s) const {
    return data + b * batch + h * head + s * row;
  }
  const float* data;
  int64_t batch, head, row;
};

void forward(at::Tensor& qkv,
             const AttentionShape& shape,
             const RotaryTable& table,
             int64_t first_position) {
  const int64_t half = table.pairs();
  const auto *cosine = table.cosine.const_data_ptr<float>(),
             *sine = table.sine.const_data_ptr<float>();
  float* rows = qkv.mutable_data_ptr<float>();
  at::parallel_for(0, qkv.size(0), row_grain(shape.row()), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t angles = (first_position + t % shape.sequence) * half;
      for (int64_t h = 0; h < shape.heads + shape.kv_heads; ++h) {
        turn(rows + t * shape.row() + h * shape.head_dim, cosine + angles, sine + angles, half);
      }
    }
  });
}

void backward(const AttentionGradient& grad,
              const AttentionShape& shape,
              const RotaryTable& table,
              at::Tensor& dqkv) {
  const int64_t dim = shape.head_dim, half = table.pairs();
  const auto *cosine = table.cosine.const_data_ptr<float>(),
             *sine = table.sine.const_data_ptr<float>();
  const HeadReader q(grad.q), k(grad.k), v(grad.v);
  float* rows = dqkv.mutable_data_ptr<float>();
  at::parallel_for(0, dqkv.size(0), row_grain(shape.row()), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t b = t / shape.sequence, s = t % shape.sequence;
      const float *c = cosine + s * half, *n = sine + s * half;
      float* to = rows + t * shape.row();
      for (int64_t h = 0; h < shape.heads; ++h, to += dim) {
        turn_back(q.at(b, h, s), to, c, n, {dim, half});
      }
      for (int64_t h = 0; h < shape.kv_heads; ++h, to += dim) {
        turn_back(k.at(b, h, s), to, c, n, {dim, half});
      }
      for (int64_t h = 0; h < shape.kv_heads; ++h, to += dim) {
        std::memcpy(to, v.at(b, h, s), static_cast<size_t>(dim) * sizeof(float));
      }
    }
  });
}

}  // namespace

const Rotary rotary = {forward, backward};

}  // namespace llmctl::cpu
