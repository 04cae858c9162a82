// The optimizers' passes over flat buffers, and the one place that chooses their form, as
// trainer/ops/operators.h does for operators: fused loops for the CPU, kernels of our own for CUDA,
// ATen operators alone for all else. Weights and gradients are fp32 and of the same number of
// elements as the state. One thread calls; results do not depend on how many threads the loops use.
// Only sums_of_squares() waits for the device. (Adafactor and Muon have one form, in their files.)
#pragma once

#include <vector>

#include "trainer/optim/updates/update_operands.h"

namespace llmctl {

struct Updates {
  // AdamW (Loshchilov & Hutter, arXiv 1711.05101; PyTorch's formula): clip, decay, moments, update
  // and clearing the gradient in one pass. Moments kept in bf16 are updated in fp32, used, and
  // rounded to nearest even when put back.
  void (*adamw)(const at::Tensor& weights,
                const at::Tensor& gradients,
                const Moments& moments,
                const AdamWFactorsByDecay& factors);
  // The same with moments in 8-bit blocks, each read, updated in fp32, used, and rounded again.
  void (*adamw_8bit)(const at::Tensor& weights,
                     const at::Tensor& gradients,
                     const QuantizedMoment& first,
                     const QuantizedMoment& second,
                     const AdamWFactors& factors);
  // Lion (Chen et al., arXiv 2302.06675, algorithm 2), in one pass like adamw.
  void (*lion)(const at::Tensor& weights,
               const at::Tensor& gradients,
               const at::Tensor& moment,
               const LionFactorsByDecay& factors);
  // fp32 -> bf16 of the same length, up with the probability of the distance from below. Element i
  // takes 16 bits of the hash of (key, first + i); values that bf16 has stay, NaN and infinity too.
  void (*round_stochastically)(const at::Tensor& values,
                               at::Tensor& out,
                               uint64_t key,
                               int64_t first);
  // Of each span of a flat fp32 buffer, summed in double in a fixed order.
  std::vector<double> (*sums_of_squares)(const at::Tensor& flat,
                                         const std::vector<FlatSpan>& spans);
};

// Fused loops over contiguous fp32 on the CPU: one pass over memory each.
namespace cpu {
const Updates& updates();
}
// Kernels of our own for AdamW and Lion, one pass over the weights on a GPU, and ATen operators for
// the rest. On CPU tensors they run, slowly, the same bodies.
namespace cuda {
const Updates& updates();
}
// ATen operators alone, on any device, and what tests compare the other forms with.
namespace reference {
const Updates& updates();
}

// Those for where `weights` are. The table lives as long as the program.
const Updates& updates_for(const at::Tensor& weights);

}  // namespace llmctl
