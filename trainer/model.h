// The decoder: a list of blocks between an embedding and a loss head, with the training step
// written out: every block forward, the loss in chunks, every block backward. With checkpointing a
// block keeps only its input and runs forward once more before backward. Owns weights and
// gradients. One thread calls it; the kernels inside use all of LibTorch's.
#pragma once

#include <functional>
#include <vector>

#include "trainer/block.h"

namespace llmctl {

struct ModelOptions {
  int64_t sequence_len = 0;
  AttentionKind attention = AttentionKind::sdpa;
  bool checkpointing = false;
  std::function<void()> pulse = [] {};  // called after each block's pass: somebody is alive
  at::Device device = at::kCPU;         // from open_device()
};

struct MicroBatch {        // B sequences, flattened: T = B * sequence_len; in host memory, or
                           // already on the model's device
  at::Tensor ids, labels;  // [T] int32, each in [0, vocab_size)
};

class Model {
 public:
  // Allocates; weights are zero until initialize() or a checkpoint fills them.
  Model(const ModelConfig& config, ModelOptions options);

  // Adds the gradient of scale * (sum of the tokens' losses) and returns that sum, unscaled: a
  // double on the device; reading it waits until the device has come so far.
  at::Tensor forward_backward(const MicroBatch& batch, double scale);
  at::Tensor forward(const MicroBatch& batch);  // the sum of losses only

  void set_checkpointing(bool on) { options_.checkpointing = on; }
  const ModelConfig& config() const { return config_; }
  const ModelOptions& options() const { return options_; }
  const ParameterLayout& layout() const { return layout_; }
  at::Tensor& weights() { return weights_; }
  at::Tensor& gradients() { return gradients_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  const OuterTensors& outer() const { return outer_; }
  const RotaryTable& rotary() const { return rotary_; }

 private:
  at::Tensor run_block(size_t index, const at::Tensor& x, Block::Saved& saved) const;

  ModelConfig config_;
  ModelOptions options_;
  AttentionShape shape_;
  ParameterLayout layout_;
  RotaryTable rotary_;
  at::Tensor weights_, gradients_;
  OuterTensors outer_, outer_gradients_;
  std::vector<Block> blocks_;
};

}  // namespace llmctl
