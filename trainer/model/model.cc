#include "trainer/model/model.h"

#include <cmath>
#include <memory>

#include "core/base/result.h"
#include "trainer/device/device_memory.h"
#include "trainer/model/saved_activations.h"
#include "trainer/ops/loss.h"
#include "trainer/ops/operators.h"

namespace llmctl {

at::ScalarType activation_type(std::string_view precision) {
  if (precision == "bf16") return at::kBFloat16;
  if (precision == "fp16") return at::kHalf;
  CHECK(precision == "fp32" || precision == "tf32");
  return at::kFloat;
}

at::ScalarType matrix_type(std::string_view precision, bool masters) {
  return masters ? at::kFloat : activation_type(precision);
}

static Weights make_weights(const ParameterLayout& layout, const ModelOptions& options) {
  const CauseScope scope(Cause::parameters);
  return Weights::zeros(layout, options.matrices, options.device);
}

static at::Tensor make_gradients(const ParameterLayout& layout, const ModelOptions& options) {
  if (!options.trains) return {};
  const CauseScope scope(Cause::gradients);
  return at::zeros({layout.size()}, at::device(options.device).dtype(at::kFloat));
}

static at::Tensor make_copy(const ParameterLayout& layout, const ModelOptions& options) {
  if (options.number == at::kFloat || options.matrices != at::kFloat) return {};
  const CauseScope scope(Cause::parameters);
  return at::zeros({layout.matrices_end()}, at::device(options.device).dtype(options.number));
}

// What passes read: of masters their 16-bit copy, but vectors as they are.
static Weights read_by_passes(const ParameterLayout& layout,
                              const Weights& weights,
                              const at::Tensor& copy) {
  if (!copy.defined()) return weights;
  const int64_t vectors = layout.matrices_end();
  return {copy, weights.part(vectors, layout.size() - vectors)};
}

// Those that activations are multiplied with.
static std::vector<at::Tensor> matrices_of(const ParameterLayout& layout,
                                           const Weights& flat,
                                           const ModelConfig& config) {
  std::vector<at::Tensor> all;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const BlockTensors block = block_tensors(layout, flat, i);
    for (const LinearTensors& linear : {block.qkv, block.out, block.up, block.down}) {
      all.push_back(linear.weight);
    }
  }
  all.push_back(outer_tensors(layout, flat).head);
  return all;
}

// What is kept of a block until its backward pass.
static Block::Saved kept_of(Block::Saved saved, Checkpointing checkpointing) {
  if (checkpointing == Checkpointing::selective) saved.up.reset();
  if (checkpointing != Checkpointing::block) return saved;
  Block::Saved input;
  input.x = saved.x;
  return input;
}

Model::Model(const ModelConfig& config, ModelOptions options)
    : config_(config),
      options_(std::move(options)),
      shape_{options_.sequence_len, config.num_attention_heads, config.num_key_value_heads,
             config.head_dim},
      layout_(config),
      rotary_(rotary_table(options_.sequence_len, config, false, options_.device)),
      weights_(make_weights(layout_, options_)),
      gradients_(make_gradients(layout_, options_)),
      copy_(make_copy(layout_, options_)),
      outer_(outer_tensors(layout_, read_by_passes(layout_, weights_, copy_))),
      outer_gradients_(options_.trains ? outer_tensors(layout_, gradients_) : OuterTensors()),
      final_norm_(outer_.norm, outer_gradients_.norm, config) {
  if (config.rope_local_theta > 0) {
    local_rotary_ = rotary_table(options_.sequence_len, config, true, options_.device);
  }
  if (options_.offload) transfer_.emplace(options_.device);
  const Weights read = read_by_passes(layout_, weights_, copy_);
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    blocks_.emplace_back(block_tensors(layout_, read, i),
                         options_.trains ? block_tensors(layout_, gradients_, i) : BlockTensors(),
                         config, attention_rule(config, i, options_.attention));
  }
  if (options_.pack_weights && options_.device.is_cpu() && options_.number == at::kFloat) {
    packed_ = std::make_unique<cpu_gemm::PackedWeights>(matrices_of(layout_, read, config));
  }
}

const RotaryTable& Model::rotary_of(size_t block,
                                    const RotaryTable& global,
                                    const RotaryTable& local) const {
  const bool own = config_.rope_local_theta > 0 && config_.slides(static_cast<int64_t>(block));
  return own ? local : global;
}

// The position of each row in its document. For whole sequences the device computes it.
static at::Tensor positions_of(const std::vector<int32_t>& starts,
                               int64_t rows,
                               int64_t sequence,
                               at::Device device) {
  if (starts.empty())
    return at::arange(rows, at::device(device).dtype(at::kInt)).remainder_(sequence);
  at::Tensor positions = at::empty({rows}, at::kInt);
  auto* to = positions.mutable_data_ptr<int32_t>();
  size_t next = 0;
  int64_t first = 0;
  for (int64_t row = 0; row < rows; ++row) {
    if (next < starts.size() && starts[next] == row) {
      first = row;
      ++next;
    }
    to[row] = static_cast<int32_t>(row - first);
  }
  return upload(positions, device);
}

// The table whose row t is that of positions[t], for rows at any position.
static RotaryTable rows_of(const RotaryTable& table, const at::Tensor& positions) {
  const Operators& operators = operators_for(table.cosine);
  return {operators.embedding.forward(positions, table.cosine),
          operators.embedding.forward(positions, table.sine)};
}

// With packed documents the micro-batch is one sequence of T rows that knows its documents, and
// row t of the rotary tables is that of its position.
Model::Pass Model::pass_over(const MicroBatch& host_batch) const {
  const at::Device device = options_.device;
  const bool packed = !host_batch.document_starts.empty();
  Pass pass = {{upload(host_batch.ids, device), upload(host_batch.labels, device)},
               shape_,
               {},
               rotary_,
               local_rotary_};
  const int64_t rows = host_batch.ids.size(0);
  if (packed || config_.learned_positions) {
    const CauseScope cause(Cause::workspace);
    pass.positions = positions_of(host_batch.document_starts, rows, options_.sequence_len, device);
  }
  const CauseScope cause(Cause::workspace);
  if (packed) {
    CHECK(host_batch.document_starts.front() == 0 && host_batch.document_starts.back() < rows);
    pass.shape.sequence = rows;
    pass.shape.document_starts = host_batch.document_starts;
  }
  if (options_.attention == AttentionKind::flash) {
    pass.shape.boundaries = boundaries_of(pass.shape, rows, device);
  }
  if (!packed) return pass;
  pass.rotary = rows_of(rotary_, pass.positions);
  if (local_rotary_.cosine.defined()) pass.local_rotary = rows_of(local_rotary_, pass.positions);
  return pass;
}

void Model::refresh_copy() const {
  if (!copy_is_old_) return;
  if (copy_.defined()) copy_.copy_(weights_.part(0, layout_.matrices_end()));
  if (packed_) packed_->forget();
  copy_is_old_ = false;
}

at::Tensor Model::embedded(const at::Tensor& ids, const at::Tensor& positions) const {
  refresh_copy();
  const Operators& operators = operators_for(outer_.embedding);
  at::Tensor x = operators.embedding.forward(ids, outer_.embedding).to(options_.number);
  if (config_.scale_embedding) x.mul_(std::sqrt(static_cast<double>(config_.hidden_size)));
  if (config_.learned_positions) x.add_(operators.embedding.forward(positions, outer_.positions));
  return x;
}

// `dx` is scaled in place; nobody needs it afterwards.
void Model::embedded_backward(const Pass& pass, at::Tensor& dx) {
  const Operators& operators = operators_for(dx);
  if (config_.learned_positions) {
    operators.embedding.backward(pass.positions, dx, outer_gradients_.positions);
  }
  if (config_.scale_embedding) dx.mul_(std::sqrt(static_cast<double>(config_.hidden_size)));
  operators.embedding.backward(pass.batch.ids, dx, outer_gradients_.embedding);
}

at::Tensor Model::run_block(size_t index,
                            const at::Tensor& x,
                            const Pass& p,
                            Block::Saved& saved) const {
  at::Tensor y =
      blocks_[index].forward(x, p.shape, rotary_of(index, p.rotary, p.local_rotary), saved);
  options_.pulse();
  return y;
}

at::Tensor Model::forward_backward(const MicroBatch& batch, double scale) {
  const CauseScope cause(Cause::workspace);
  return forward_backward(batch,
                          at::full({}, scale, at::device(options_.device).dtype(at::kFloat)));
}

at::Tensor Model::forward_backward(const MicroBatch& host_batch, const at::Tensor& scale) {
  CHECK(options_.trains);
  const CauseScope cause(Cause::activations);
  const cpu_gemm::PackedWeights::Use packed(packed_.get());
  const Pass pass = pass_over(host_batch);
  SavedActivations saved(blocks_.size(), transfer_ ? &*transfer_ : nullptr);
  at::Tensor x = embedded(pass.batch.ids, pass.positions);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Block::Saved s;
    x = run_block(i, x, pass, s);
    saved.keep(i, kept_of(std::move(s), options_.checkpointing));
  }

  Normed normed = final_norm(x);
  at::Tensor loss =
      loss_sum_and_gradient(normed.y, pass.batch.labels, outer_.head, outer_gradients_.head,
                            {.scale = scale, .soft_cap = config_.final_logit_softcapping});
  at::Tensor dx = at::zeros_like(x);
  final_norm_.backward(normed.y, x, normed.statistics, dx);
  normed = {};
  x.reset();

  for (size_t i = blocks_.size(); i-- > 0;) {
    Block::Saved s = saved.take(i);
    if (options_.checkpointing == Checkpointing::block) run_block(i, s.x, pass, s);
    blocks_[i].backward(dx, pass.shape, rotary_of(i, pass.rotary, pass.local_rotary), std::move(s));
    options_.pulse();
  }
  embedded_backward(pass, dx);
  return loss;
}

at::Tensor Model::forward(const MicroBatch& host_batch) {
  const CauseScope cause(Cause::activations);
  const cpu_gemm::PackedWeights::Use packed(packed_.get());
  const Pass pass = pass_over(host_batch);
  at::Tensor x = embedded(pass.batch.ids, pass.positions);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Block::Saved unused;
    x = run_block(i, x, pass, unused);
  }
  return loss_sum(final_norm(x).y, pass.batch.labels, outer_.head, config_.final_logit_softcapping);
}

}  // namespace llmctl
