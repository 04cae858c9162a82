#include "trainer/ops/reference/operators.h"

namespace llmctl::reference {
namespace {

void forward(at::Tensor& logits,
             const at::Tensor& labels,
             const at::Tensor& scale,
             at::Tensor& total) {
  at::_log_softmax_out(logits, logits, 1, /*half_to_float=*/false);  // each row by itself: in place
  const at::Tensor rows = labels.unsqueeze(1), masked = rows.lt(0);
  const at::Tensor column = rows.to(at::kLong).clamp_min_(0);
  const at::Tensor at_label = logits.gather(1, column);
  total.sub_(at_label.masked_fill(masked, 0).sum(at::kDouble));
  if (!scale.defined()) return;
  logits.exp_().mul_(scale);
  logits.scatter_add_(1, column, scale.neg().expand_as(at_label));
  logits.masked_fill_(masked, 0);
}

}  // namespace

const CrossEntropy cross_entropy = {forward};

}  // namespace llmctl::reference
