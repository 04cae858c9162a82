// What each operator of the engine does, once for all of its forms: a form of an operator is a
// table of the functions here, and trainer/ops/{cpu,cuda,reference}/operators.h name the forms that
// there are. Rows are [T, width]; weights of norms are fp32; tensors are contiguous. One thread
// calls.
#pragma once

#include "trainer/ops/operands/attention.h"
#include "trainer/ops/operands/mlp_activation.h"
#include "trainer/ops/operands/normed.h"
#include "trainer/ops/operands/rotary_table.h"
#include "trainer/ops/operands/weights.h"

namespace llmctl {

// RMS norm of rows (Zhang & Sennrich, arXiv 1910.07467): y = x * r * w with
// r = 1 / sqrt(mean(x^2) + eps).
struct RmsNorm {
  // `delta`, if defined, is added to x in place first: one pass for the residual stream and its
  // norm.
  Normed (*forward)(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps);
  // y once more, from what forward saved.
  at::Tensor (*recompute)(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w);
  // dx += d/dx, dw += d/dw.
  void (*backward)(const at::Tensor& dy,
                   const at::Tensor& x,
                   const at::Tensor& statistics,
                   const at::Tensor& w,
                   at::Tensor& dx,
                   at::Tensor& dw);
};

// Layer norm of rows (Ba et al., arXiv 1607.06450): y = (x - mean) * r * w + b with
// r = 1 / sqrt(variance + eps). All else as above.
struct LayerNorm {
  Normed (*forward)(const at::Tensor& x, const at::Tensor& delta, const NormTensors& w, double eps);
  at::Tensor (*recompute)(const at::Tensor& x, const at::Tensor& statistics, const NormTensors& w);
  void (*backward)(const at::Tensor& dy,
                   const at::Tensor& x,
                   const at::Tensor& statistics,
                   const at::Tensor& weight,
                   at::Tensor& dx,
                   NormTensors& dw);
};

// The function between the two products of an MLP.
struct Activation {
  // up [T, I], or [T, 2I] when gated -> [T, I].
  at::Tensor (*forward)(MlpActivation kind, const at::Tensor& up);
  // `up` becomes its gradient, given da [T, I]: nothing new is allocated.
  void (*backward)(MlpActivation kind, at::Tensor& up, const at::Tensor& da);
};

struct Rotary {
  // Turns the q and k heads of the fused projection by their positions, in place. Row t of qkv
  // stands at first_position + t mod shape.sequence.
  void (*forward)(at::Tensor& qkv,
                  const AttentionShape& shape,
                  const RotaryTable& table,
                  int64_t first_position);
  // Writes dq and dk, turned back, and dv into the rows of dqkv [T, shape.row()].
  void (*backward)(const AttentionGradient& grad,
                   const AttentionShape& shape,
                   const RotaryTable& table,
                   at::Tensor& dqkv);
};

struct Embedding {
  // Rows of a table by id: ids [T] int32, each in [0, V), as the caller has checked -> [T, H].
  at::Tensor (*forward)(const at::Tensor& ids, const at::Tensor& table);
  // dtable += d/dtable.
  void (*backward)(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable);
};

struct CrossEntropy {
  // total (a double on the device) += the sum of -log softmax at the labels; rows with a label
  // below 0 are masked. logits [rows, V] in fp32 become scale * (softmax - onehot), of masked rows
  // 0. The scale is one fp32 on the device, so that a captured pass reads what it is then; where it
  // is undefined, the logits' values are undefined afterwards.
  void (*forward)(at::Tensor& logits,
                  const at::Tensor& labels,
                  const at::Tensor& scale,
                  at::Tensor& total);
};

// Causal attention with grouped queries over the fused projection [T, (heads + 2 kv_heads) * D].
// Packed documents do not see each other: each is a sequence of its own. The backward pass must be
// called with the operands of the forward pass: what was saved is read by the form that made it.
struct Attention {
  // Whether this form can, and has enough work to be worth it.
  bool (*takes)(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule);
  AttentionSaved (*forward)(const at::Tensor& qkv,
                            const AttentionShape& shape,
                            const AttentionRule& rule);
  AttentionGradient (*backward)(const at::Tensor& dout,
                                const at::Tensor& qkv,
                                const AttentionSaved& saved,
                                const AttentionShape& shape,
                                const AttentionRule& rule);
};

}  // namespace llmctl
