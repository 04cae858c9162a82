#include "trainer/ops/loss.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/plan/memory_model.h"
#include "trainer/device/device_memory.h"
#include "trainer/ops/cpu/simd.h"
#include "trainer/ops/cuda/cuda_operators.h"
#include "trainer/ops/linear.h"
#include "trainer/ops/reference/aten.h"

namespace llmctl {
namespace {

SIMD_CLONES float row_max(const float* x, int64_t width) {
  float most = x[0];
  for (int64_t i = 1; i < width; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

// x becomes exp(x - shift); returns the sum.
SIMD_CLONES float row_exp(float* x, float shift, int64_t width) {
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) {
    x[i] = simd_exp(x[i] - shift);
    sum += x[i];
  }
  return sum;
}

SIMD_CLONES void row_scale(float* x, float factor, int64_t width) {
  for (int64_t i = 0; i < width; ++i) x[i] *= factor;
}

// As in trainer/ops/reference/aten.h.
void cross_entropy(at::Tensor& logits,
                   const at::Tensor& label_rows,
                   std::optional<double> scale,
                   at::Tensor& total) {
  if (own::take(logits)) return own::cross_entropy(logits, label_rows, scale, total);
  if (!logits.is_cpu()) return aten::cross_entropy(logits, label_rows, scale, total);
  const auto* labels = label_rows.const_data_ptr<int32_t>();
  const auto factor = static_cast<float>(scale.value_or(0));
  const int64_t rows = logits.size(0), width = logits.size(1);
  float* data = logits.mutable_data_ptr<float>();
  std::vector<double> losses(static_cast<size_t>(rows));
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* x = data + row * width;
      if (labels[row] < 0) {
        if (scale) std::fill_n(x, width, 0.0f);
        continue;
      }
      const float most = row_max(x, width), at_label = x[labels[row]];
      const float sum = row_exp(x, most, width);
      losses[static_cast<size_t>(row)] = std::log(static_cast<double>(sum)) + most - at_label;
      if (!scale) continue;
      row_scale(x, factor / sum, width);
      x[labels[row]] -= factor;
    }
  });
  double sum = 0;  // in row order, whatever the number of threads
  for (const double loss : losses) sum += loss;
  *total.mutable_data_ptr<double>() += sum;
}

struct Chunks {
  Chunks(const at::Tensor& hidden, const at::Tensor& weight, double soft_cap)
      : tokens(hidden.size(0)), rows(loss_chunk_tokens(weight.size(0), tokens)), cap(soft_cap) {
    const CauseScope cause(Cause::logits);
    buffer = at::empty({rows, weight.size(0)}, hidden.options().dtype(at::kFloat));
    head = hidden.is_cpu() ? weight.to(at::kFloat) : weight;  // a CPU would widen it every chunk
    if (cap > 0) tanh = at::empty_like(buffer);
  }
  int64_t tokens, rows;
  double cap;
  at::Tensor buffer;  // [rows, V] fp32, one chunk after the other
  at::Tensor head;    // `weight` as the products want it
  at::Tensor tanh;    // with a soft cap: of logit / cap

  void soften(at::Tensor& logits) {
    if (cap <= 0) return;
    at::Tensor t = tanh.narrow(0, 0, logits.size(0));
    at::tanh_out(t, logits.div_(cap));
    at::mul_out(logits, t, at::scalar_tensor(cap, t.options()));
  }
  // By the derivative of what soften() did.
  void soften_backward(at::Tensor& dlogits) {
    if (cap <= 0) return;
    at::Tensor t = tanh.narrow(0, 0, dlogits.size(0));
    dlogits.mul_(t.square_().neg_().add_(1));
  }
};

}  // namespace

at::Tensor loss_sum(const at::Tensor& hidden,
                    const at::Tensor& labels,
                    const at::Tensor& weight,
                    double soft_cap) {
  Chunks chunks(hidden, weight, soft_cap);
  at::Tensor total = at::zeros({}, hidden.options().dtype(at::kDouble));
  for (int64_t first = 0; first < chunks.tokens; first += chunks.rows) {
    const int64_t rows = std::min(chunks.rows, chunks.tokens - first);
    at::Tensor logits = chunks.buffer.narrow(0, 0, rows);
    product_into(logits, hidden.narrow(0, first, rows), chunks.head.t());
    chunks.soften(logits);
    cross_entropy(logits, labels.narrow(0, first, rows), {}, total);
  }
  return total;
}

at::Tensor loss_sum_and_gradient(at::Tensor& hidden,
                                 const at::Tensor& labels,
                                 const at::Tensor& weight,
                                 at::Tensor& weight_grad,
                                 const LossOptions& options) {
  Chunks chunks(hidden, weight, options.soft_cap);
  at::Tensor total = at::zeros({}, hidden.options().dtype(at::kDouble));
  for (int64_t first = 0; first < chunks.tokens; first += chunks.rows) {
    const int64_t rows = std::min(chunks.rows, chunks.tokens - first);
    at::Tensor logits = chunks.buffer.narrow(0, 0, rows);
    at::Tensor part = hidden.narrow(0, first, rows);
    product_into(logits, part, chunks.head.t());
    chunks.soften(logits);
    cross_entropy(logits, labels.narrow(0, first, rows), options.scale, total);
    chunks.soften_backward(logits);
    const at::Tensor dlogits = logits.to(chunks.head.scalar_type());
    add_product(weight_grad, dlogits.t(), part);
    product_into(part, dlogits, chunks.head);
  }
  return total;
}

}  // namespace llmctl
