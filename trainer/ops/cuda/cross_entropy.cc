#include "trainer/ops/cuda/operators.h"

#include "trainer/ops/cuda/kernels/loss_rows.h"
#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::cuda {
namespace {

void forward(at::Tensor& logits,
             const at::Tensor& labels,
             const at::Tensor& scale,
             at::Tensor& total) {
  const int64_t rows = logits.size(0), width = logits.size(1);
  const float* factor = scale.defined() ? from<float>(scale) : nullptr;
  const at::Tensor losses = at::empty({rows}, total.options());
  run_rows(logits,
           kernels::CrossEntropy{to<float>(logits), from<int32_t>(labels), to<double>(losses),
                                 width, factor},
           rows, width);
  total.add_(losses.sum());
}

}  // namespace

const CrossEntropy cross_entropy = {forward};

}  // namespace llmctl::cuda
