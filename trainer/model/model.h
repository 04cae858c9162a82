// The decoder: a list of blocks between an embedding and a loss head, with the training step
// written out: every block forward, the loss in chunks, every block backward. With checkpointing a
// block keeps less and computes the rest again in its backward. Owns weights and gradients; one
// that only reads texts has no gradients, and weights of 16 bits as they are stored beside fp32
// activations. One thread calls it; the kernels inside use all of LibTorch's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/training/checkpointing.h"
#include "trainer/device/host_transfer.h"
#include "trainer/model/block.h"
#include "trainer/ops/cpu/cpu_gemm.h"

namespace llmctl {

struct ModelOptions {
  int64_t sequence_len = 0;
  AttentionKind attention = AttentionKind::sdpa;
  Checkpointing checkpointing = Checkpointing::none;
  std::function<void()> pulse = [] {};   // called after each block's pass: a sign of life
  at::Device device = at::kCPU;          // from open_device()
  at::ScalarType number = at::kFloat;    // of activations and products: activation_type()
  bool offload = false;                  // what blocks save waits in host memory
  at::ScalarType matrices = at::kFloat;  // of weights: matrix_type(); fp32 has a copy in `number`
  bool trains = true;                    // false: no gradients, forward passes alone
  bool pack_weights = false;             // once for all passes until they change; fp32 on a CPU
};

// Of core/training/precision.h's names. Requires: it is one.
at::ScalarType activation_type(std::string_view precision);
at::ScalarType matrix_type(std::string_view precision, bool masters);

struct MicroBatch {        // B sequences, flattened: T = B * sequence_len; in host memory, or
                           // already on the model's device
  at::Tensor ids, labels;  // [T] int32, each in [0, vocab_size); labels below 0 are masked
  // Rows where a document begins, ascending, every sequence's start among them. Positions restart
  // at each, and it sees nothing before it. Empty: every sequence is one document.
  std::vector<int32_t> document_starts = {};
};

class Model {
 public:
  // Allocates; weights are zero until initialize() or a checkpoint fills them.
  Model(const ModelConfig& config, ModelOptions options);

  // Adds the gradient of scale * (sum of the tokens' losses) and returns that sum, unscaled: a
  // double on the device; reading it waits until the device has come so far. A scale that is one
  // fp32 on the device is read there. Requires: it trains.
  at::Tensor forward_backward(const MicroBatch& batch, double scale);
  at::Tensor forward_backward(const MicroBatch& batch, const at::Tensor& scale);
  at::Tensor forward(const MicroBatch& batch);  // the sum of losses only

  void set_checkpointing(Checkpointing kind) { options_.checkpointing = kind; }
  const ModelConfig& config() const { return config_; }
  const ModelOptions& options() const { return options_; }
  const ParameterLayout& layout() const { return layout_; }
  const Weights& weights() const { return weights_; }  // to read
  // To write to before the next pass: that one makes the copies it multiplies with anew.
  const Weights& writable_weights() {
    copy_is_old_ = true;
    return weights_;
  }
  at::Tensor& gradients() { return gradients_; }  // Requires: it trains
  // Makes the copies that passes multiply with anew, if the weights were written to since. Passes
  // do so themselves, but not when they are replayed.
  void refresh_copy() const;
  const std::vector<Block>& blocks() const { return blocks_; }
  const OuterTensors& outer() const { return outer_; }
  const RotaryTable& rotary(size_t block) const { return rotary_of(block, rotary_, local_rotary_); }
  // The residual stream that enters the first block; `positions` [T] int32 where the model has
  // learned ones.
  at::Tensor embedded(const at::Tensor& ids, const at::Tensor& positions) const;
  Normed final_norm(const at::Tensor& x) const { return final_norm_.forward(x); }

 private:
  struct Pass {  // of one micro-batch; views its document_starts, and is made without waiting
    MicroBatch batch;
    AttentionShape shape;
    at::Tensor positions;  // [T] int32, where they are needed
    RotaryTable rotary, local_rotary;
  };
  Pass pass_over(const MicroBatch& host_batch) const;
  at::Tensor run_block(size_t index, const at::Tensor& x, const Pass& p, Block::Saved& s) const;
  void embedded_backward(const Pass& pass, at::Tensor& dx);
  const RotaryTable& rotary_of(size_t block,
                               const RotaryTable& global,
                               const RotaryTable& local) const;

  ModelConfig config_;
  ModelOptions options_;
  AttentionShape shape_;
  ParameterLayout layout_;
  RotaryTable rotary_, local_rotary_;  // the second of layers that slide, if they have their own
  Weights weights_;
  at::Tensor gradients_;
  at::Tensor copy_;  // of fp32 matrices in options_.number; undefined: passes read the weights
  mutable bool copy_is_old_ = false;
  OuterTensors outer_, outer_gradients_;
  Norm final_norm_;
  std::vector<Block> blocks_;
  std::optional<HostTransfer> transfer_;  // when it offloads
  std::unique_ptr<cpu_gemm::PackedWeights> packed_;
};

}  // namespace llmctl
