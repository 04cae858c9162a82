#include "trainer/model.h"

#include "core/result.h"
#include "trainer/device_memory.h"
#include "trainer/embedding.h"
#include "trainer/loss.h"
#include "trainer/rms_norm.h"

namespace llmctl {

static at::Tensor zeros_for(Cause cause, int64_t elements, at::Device device) {
  const CauseScope scope(cause);
  return at::zeros({elements}, at::device(device).dtype(at::kFloat));
}

// Through pinned memory, so that the host need not wait for the device.
static MicroBatch on_device(const MicroBatch& batch, at::Device device) {
  const auto upload = [&](const at::Tensor& t) {
    return t.device() == device ? t : t.pin_memory().to(device, t.scalar_type(), true);
  };
  return {upload(batch.ids), upload(batch.labels)};
}

// All that checkpointing keeps of a block.
static Block::Saved input_of(const Block::Saved& saved) {
  Block::Saved input;
  input.x = saved.x;
  return input;
}

// The engine computes what the Llama family has; the rest of the template is to come.
static bool has_only_llamas_options(const ModelConfig& config) {
  ModelConfig plain = config;
  set_family(plain, "llama");
  plain.architecture = config.architecture;
  plain.rms_norm_eps = config.rms_norm_eps;
  plain.rope_theta = config.rope_theta;
  return plain == config;
}

Model::Model(const ModelConfig& config, ModelOptions options)
    : config_(config),
      options_(std::move(options)),
      shape_{options_.sequence_len, config.num_attention_heads, config.num_key_value_heads,
             config.head_dim},
      layout_(config),
      rotary_(
          rotary_table(options_.sequence_len, config.head_dim, config.rope_theta, options_.device)),
      weights_(zeros_for(Cause::parameters, layout_.size(), options_.device)),
      gradients_(zeros_for(Cause::gradients, layout_.size(), options_.device)),
      outer_(outer_tensors(layout_, weights_)),
      outer_gradients_(outer_tensors(layout_, gradients_)) {
  CHECK(has_only_llamas_options(config));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    blocks_.emplace_back(block_tensors(layout_, weights_, i), block_tensors(layout_, gradients_, i),
                         config);
  }
}

at::Tensor Model::run_block(size_t index, const at::Tensor& x, Block::Saved& saved) const {
  at::Tensor y = blocks_[index].forward(x, shape_, rotary_, options_.attention, saved);
  options_.pulse();
  return y;
}

at::Tensor Model::forward_backward(const MicroBatch& host_batch, double scale) {
  const CauseScope cause(Cause::activations);
  const MicroBatch batch = on_device(host_batch, options_.device);
  std::vector<Block::Saved> saved(blocks_.size());
  at::Tensor x = embed(batch.ids, outer_.embedding);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = run_block(i, x, saved[i]);
    if (options_.checkpointing) saved[i] = input_of(saved[i]);
  }

  Normed normed = rms_norm(x, outer_.norm.weight, config_.rms_norm_eps);
  at::Tensor loss =
      loss_sum_and_gradient(normed.y, batch.labels, outer_.head, outer_gradients_.head, scale);
  at::Tensor dx = at::zeros_like(x);
  rms_norm_backward(normed.y, x, normed.inverse_rms, outer_.norm.weight, dx,
                    outer_gradients_.norm.weight);
  normed = {};
  x.reset();

  for (size_t i = blocks_.size(); i-- > 0;) {
    if (options_.checkpointing) run_block(i, saved[i].x, saved[i]);
    blocks_[i].backward(dx, shape_, rotary_, options_.attention, std::move(saved[i]));
    options_.pulse();
  }
  embed_backward(batch.ids, dx, outer_gradients_.embedding);
  return loss;
}

at::Tensor Model::forward(const MicroBatch& host_batch) {
  const CauseScope cause(Cause::activations);
  const MicroBatch batch = on_device(host_batch, options_.device);
  at::Tensor x = embed(batch.ids, outer_.embedding);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Block::Saved unused;
    x = run_block(i, x, unused);
  }
  const Normed normed = rms_norm(x, outer_.norm.weight, config_.rms_norm_eps);
  return loss_sum(normed.y, batch.labels, outer_.head);
}

}  // namespace llmctl
