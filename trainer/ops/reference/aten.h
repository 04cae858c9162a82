// The engine's kernels once more, in ATen operators alone, for tensors on any device. The fused
// loops of rms_norm.cc, swiglu.cc and so on are for the CPU and hand other tensors over to these,
// or on CUDA to ops/cuda/cuda_operators.h where that takes them; the contracts are those of their
// headers. Work is only enqueued: nothing waits for the device. LibTorch's fused operators are used
// where it has them.
#pragma once

#include <optional>

#include "trainer/ops/gelu.h"
#include "trainer/ops/rms_norm.h"
#include "trainer/ops/rope.h"
#include "trainer/ops/weights.h"

namespace llmctl::aten {

Normed rms_norm(const at::Tensor& x, const at::Tensor& w, double eps);
at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w);
void rms_norm_backward(const at::Tensor& dy,
                       const at::Tensor& x,
                       const at::Tensor& statistics,
                       const at::Tensor& w,
                       at::Tensor& dx,
                       at::Tensor& dw);

Normed layer_norm(const at::Tensor& x, const NormTensors& w, double eps);
at::Tensor layer_norm_again(const at::Tensor& x,
                            const at::Tensor& statistics,
                            const NormTensors& w);
void layer_norm_backward(const at::Tensor& dy,
                         const at::Tensor& x,
                         const at::Tensor& statistics,
                         const at::Tensor& weight,
                         at::Tensor& dx,
                         NormTensors& dw);

at::Tensor swiglu(const at::Tensor& gate_up);
void swiglu_backward(at::Tensor& gate_up, const at::Tensor& da);

at::Tensor gelu(const at::Tensor& up, GeluFormula formula);
void gelu_backward(at::Tensor& up, const at::Tensor& da, GeluFormula formula);
at::Tensor geglu(const at::Tensor& gate_up, GeluFormula formula);
void geglu_backward(at::Tensor& gate_up, const at::Tensor& da, GeluFormula formula);

void rotate(at::Tensor& qkv,
            const AttentionShape& shape,
            const RotaryTable& table,
            int64_t first_position);
void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 at::Tensor& dqkv);

at::Tensor embed(const at::Tensor& ids, const at::Tensor& table);
void embed_backward(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable);

// total (a double on the device) += the sum of -log softmax at the labels. logits [rows, V] become
// scale * (softmax - onehot), or are spent when there is no scale.
void cross_entropy(at::Tensor& logits,
                   const at::Tensor& labels,
                   std::optional<double> scale,
                   at::Tensor& total);

}  // namespace llmctl::aten
