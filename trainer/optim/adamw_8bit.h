// AdamW with moments in bitsandbytes' block-wise 8 bits (updates/quantize_blockwise.h), a quarter
// of adamw's state: each block is read, updated in fp32, used, and rounded when put back. Tensors
// with fewer than kLeastQuantizedElements keep fp32 moments. Numbers as bitsandbytes' AdamW8bit.
#pragma once

#include "trainer/optim/optimizer.h"
#include "trainer/optim/updates/update_operands.h"

namespace llmctl {

class AdamW8bit final : public Optimizer {
 public:
  explicit AdamW8bit(const ParameterLayout& layout, OptimizerStateHome home = {});
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;

 private:
  struct Part {  // of one slot: either quantized or fp32
    int64_t offset = 0, elements = 0;
    bool decays = false, quantized = false;
    QuantizedMoment first, second;
    at::Tensor first_fp32, second_fp32;
  };
  void apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) override;
  OptimizerStateHome::Tensors state_of(const StatePiece& piece) const;
  // Of weights in `window`; `state` begins at element `begin` of all.
  void update_piece(const Part& part,
                    const OptimizerStateHome::Tensors& state,
                    int64_t begin,
                    const Fp32Window& window,
                    const at::Tensor& gradients,
                    const OptimizerStep& step) const;

  OptimizerStateHome home_;
  std::vector<Part> parts_;               // by slot
  std::vector<StatePiece> pieces_;        // of whole blocks
  at::Tensor signed_map_, unsigned_map_;  // values, then middles; only on other devices
};

}  // namespace llmctl
