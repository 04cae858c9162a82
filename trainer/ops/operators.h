// The row-wise and elementwise operators of the engine, and the one place that chooses their form.
// Each has up to three forms with the same contract, the one written here:
//   cpu/        fused loops over contiguous fp32 on the CPU; rows are shared out over LibTorch's
//               threads, and no result depends on how many there are.
//   cuda/       kernels of our own, where LibTorch would take several or has none that is
//               deterministic and in place. They only enqueue work, on the current stream.
//   reference/  ATen operators alone: any device and any type, and what tests compare the others
//               with.
// operators.cc lists which form of an operator is used where. One thread calls. Products are in
// linear.h, attention has its own choice in attention.h.
#pragma once

#include <optional>

#include "trainer/ops/operands/attention.h"
#include "trainer/ops/operands/mlp_activation.h"
#include "trainer/ops/operands/normed.h"
#include "trainer/ops/operands/rotary_table.h"
#include "trainer/ops/operands/weights.h"

namespace llmctl {

struct Operators {
  // RMS norm of rows (Zhang & Sennrich, arXiv 1910.07467): y = x * r * w with
  // r = 1 / sqrt(mean(x^2) + eps). `delta`, if defined, is added to x in place first: one pass for
  // the residual stream and its norm.
  Normed (*rms_norm)(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps);
  // y once more, from what forward saved.
  at::Tensor (*recompute_rms_norm)(const at::Tensor& x,
                                   const at::Tensor& statistics,
                                   const at::Tensor& w);
  // dx += d/dx, dw += d/dw.
  void (*rms_norm_backward)(const at::Tensor& dy,
                            const at::Tensor& x,
                            const at::Tensor& statistics,
                            const at::Tensor& w,
                            at::Tensor& dx,
                            at::Tensor& dw);

  // Layer norm of rows (Ba et al., arXiv 1607.06450): y = (x - mean) * r * w + b with
  // r = 1 / sqrt(variance + eps). All else as above.
  Normed (*layer_norm)(const at::Tensor& x,
                       const at::Tensor& delta,
                       const NormTensors& w,
                       double eps);
  at::Tensor (*recompute_layer_norm)(const at::Tensor& x,
                                     const at::Tensor& statistics,
                                     const NormTensors& w);
  void (*layer_norm_backward)(const at::Tensor& dy,
                              const at::Tensor& x,
                              const at::Tensor& statistics,
                              const at::Tensor& weight,
                              at::Tensor& dx,
                              NormTensors& dw);

  // The function between the two products of an MLP: up [T, I], or [T, 2I] when gated -> [T, I].
  at::Tensor (*activate)(MlpActivation kind, const at::Tensor& up);
  // `up` becomes its gradient, given da [T, I]: nothing new is allocated.
  void (*activate_backward)(MlpActivation kind, at::Tensor& up, const at::Tensor& da);

  // Turns the q and k heads of the fused projection by their positions, in place. Row t of qkv
  // stands at first_position + t mod shape.sequence.
  void (*rotate)(at::Tensor& qkv,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 int64_t first_position);
  // Writes dq and dk, turned back, and dv into the rows of dqkv [T, shape.row()].
  void (*rotate_back)(const AttentionGradient& grad,
                      const AttentionShape& shape,
                      const RotaryTable& table,
                      at::Tensor& dqkv);

  // Rows of a table by id: ids [T] int32, each in [0, V), as the caller has checked -> [T, H].
  at::Tensor (*embed)(const at::Tensor& ids, const at::Tensor& table);
  void (*embed_backward)(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable);  // +=

  // total (a double on the device) += the sum of -log softmax at the labels; rows with a label
  // below 0 are masked. logits [rows, V] in fp32 become scale * (softmax - onehot), of masked rows
  // 0; without a scale their values are undefined afterwards.
  void (*cross_entropy)(at::Tensor& logits,
                        const at::Tensor& labels,
                        std::optional<double> scale,
                        at::Tensor& total);
};

// Those for tensors of the device and type of `rows`. The table lives as long as the program.
const Operators& operators_for(const at::Tensor& rows);

}  // namespace llmctl
