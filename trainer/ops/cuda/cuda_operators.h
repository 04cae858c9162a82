// The kernels of ops/cuda/kernels/ for tensors: what a CUDA tensor goes to where LibTorch would
// take several operators, or has none that is deterministic and in place. Contracts are those of
// trainer/ops/reference/aten.h, whose forms stay for other devices and as what tests compare with.
// On CPU tensors they run, slowly, the same bodies. Work is only enqueued, on the current stream.
#pragma once

#include <optional>

#include "trainer/ops/cuda/run_kernel.h"
#include "trainer/ops/mlp_activation.h"
#include "trainer/ops/rms_norm.h"
#include "trainer/ops/rope.h"

namespace llmctl::own {

// `delta`, if defined, is added to x first.
Normed rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps);
at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w);
void rms_norm_backward(const at::Tensor& dy,
                       const at::Tensor& x,
                       const at::Tensor& statistics,
                       const at::Tensor& w,
                       at::Tensor& dx,
                       at::Tensor& dw);

at::Tensor activate(MlpActivation kind, const at::Tensor& up);
void activate_backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da);

void rotate(at::Tensor& qkv,
            const AttentionShape& shape,
            const RotaryTable& table,
            int64_t first_position);
void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 at::Tensor& dqkv);

void cross_entropy(at::Tensor& logits,
                   const at::Tensor& labels,
                   std::optional<double> scale,
                   at::Tensor& total);

}  // namespace llmctl::own
