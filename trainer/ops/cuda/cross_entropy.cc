#include "trainer/ops/cuda/operators.h"

#include "trainer/ops/cuda/kernels/loss_rows.h"
#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::cuda {
namespace {

void forward(at::Tensor& logits,
             const at::Tensor& labels,
             std::optional<double> scale,
             at::Tensor& total) {
  const int64_t rows = logits.size(0), width = logits.size(1);
  const at::Tensor losses = at::empty({rows}, total.options());
  run_rows(logits,
           kernels::CrossEntropy{to<float>(logits), from<int32_t>(labels), to<double>(losses),
                                 width, static_cast<float>(scale.value_or(0)), scale.has_value()},
           rows, width);
  total.add_(losses.sum());
}

}  // namespace

const CrossEntropy cross_entropy = {forward};

}  // namespace llmctl::cuda
