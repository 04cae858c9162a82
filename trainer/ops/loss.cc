#include "trainer/ops/loss.h"

#include <algorithm>

#include "core/base/result.h"
#include "core/plan/memory_model.h"
#include "trainer/device/device_memory.h"
#include "trainer/ops/linear.h"
#include "trainer/ops/operators.h"

namespace llmctl {
namespace {

struct Chunks {
  Chunks(const at::Tensor& hidden, const at::Tensor& weight, double soft_cap)
      : tokens(hidden.size(0)),
        rows(loss_chunk_tokens(weight.size(0), tokens, hidden.is_cpu())),
        cap(soft_cap) {
    const CauseScope cause(Cause::logits);
    buffer = at::empty({rows, weight.size(0)}, hidden.options().dtype(at::kFloat));
    // A CPU would widen it every chunk, and so would the products of fp32 rows.
    const bool wide = hidden.is_cpu() || hidden.scalar_type() == at::kFloat;
    head = wide ? weight.to(at::kFloat) : weight;
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
  at::Tensor for_products(const at::Tensor& dlogits) const {
    const CauseScope cause(Cause::logits);
    return dlogits.to(head.scalar_type());  // itself, where that is fp32
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
    operators_for(logits).cross_entropy.forward(logits, labels.narrow(0, first, rows), {}, total);
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
    operators_for(logits).cross_entropy.forward(logits, labels.narrow(0, first, rows),
                                                options.scale, total);
    chunks.soften_backward(logits);
    const at::Tensor dlogits = chunks.for_products(logits);
    add_product(weight_grad, dlogits.t(), part);
    product_into(part, dlogits, chunks.head);
  }
  return total;
}

}  // namespace llmctl
