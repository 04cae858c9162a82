// The optimizers' updates in ATen operators alone, for tensors on any device: what tensors go to
// that neither the fused loops of this room nor cuda_updates.h take, and what tests compare those
// with. Adafactor and muon have one form for all devices. Only gradient_norm waits for the device.
#pragma once

#include "trainer/optim/adamw.h"
#include "trainer/optim/adamw_8bit.h"

namespace llmctl::aten {

// The `update`-th one, counted from 1; weights before decay_end decay.
void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           int64_t decay_end,
           int64_t update,
           const OptimizerStep& step);
void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          int64_t decay_end,
          const OptimizerStep& step);
struct QuantizedPiece {
  QuantizedMoment moment;
  at::Tensor map;  // [511]: values and middles of its QuantizationMap
};
void adamw_8bit(const at::Tensor& weights,
                const at::Tensor& gradients,
                const QuantizedPiece& first,
                const QuantizedPiece& second,
                const AdamWFactors& factors);
double gradient_norm(const at::Tensor& gradients);
void round_stochastically(const at::Tensor& values, at::Tensor& out, uint64_t key, int64_t first);

}  // namespace llmctl::aten
