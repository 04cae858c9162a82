#include "core/plan/memory_model.h"

#include <algorithm>
#include <cmath>

#include "core/training/offload.h"
#include "core/training/optimizer_facts.h"
#include "core/training/precision.h"

namespace llmctl {

static constexpr double kFloat = 4;  // bytes

// Products of hostile shapes stay finite as doubles; this keeps sums of causes inside 63 bits.
static Bytes bytes(double value) {
  constexpr double kMost = 1e18;
  return static_cast<Bytes>(std::min(std::ceil(value), kMost));
}

// Widths of a block in bytes per token: activations in the precision's type, statistics and what
// is by head in fp32. What the model does not have is 0.
struct Widths {
  double number;  // bytes of one activation
  double hidden, query, key_value, heads, mlp, up, statistics, post_norm, qk_norm;
  Widths(const ModelConfig& c, const std::string& precision)
      : number(static_cast<double>(activation_bytes(precision))),
        hidden(number * static_cast<double>(c.hidden_size)),
        query(number * static_cast<double>(c.num_attention_heads * c.head_dim)),
        key_value(number * static_cast<double>(c.num_key_value_heads * c.head_dim)),
        heads(kFloat * static_cast<double>(c.num_attention_heads)),
        mlp(number * static_cast<double>(c.intermediate_size)),
        up(c.gated_mlp ? 2 * mlp : mlp),
        statistics(kFloat * (c.norm == "layer" ? 2 : 1)),
        post_norm(c.post_norms ? hidden : 0),
        qk_norm(c.qk_norm ? query + key_value + heads +
                                kFloat * static_cast<double>(c.num_key_value_heads)
                          : 0) {}
};

Bytes gpu_process_bytes(int64_t ranks) {
  constexpr Bytes kContext = 576 << 20, kNccl = 512 << 20;
  return kContext + (ranks > 1 ? kNccl : 0);
}

int64_t loss_chunk_tokens(int64_t vocab_size, int64_t tokens, bool on_cpu) {
  constexpr int64_t kLeastTokens = 512, kCpuLogits = 2 << 20, kGpuLogits = 128 << 20;
  const int64_t most = std::max(kLeastTokens, (on_cpu ? kCpuLogits : kGpuLogits) / vocab_size);
  const int64_t chunks = (tokens + most - 1) / most;
  return (tokens + chunks - 1) / chunks;
}

// Whether attention has whole score matrices (trainer/ops/attention.h).
static bool is_manual(const FitQuestion& q) {
  return q.attention == "manual" || q.model.attn_logit_softcapping > 0;
}

// What trainer/model/block.h keeps of one block for its backward: the residual stream before and in
// the middle, the fused q/k/v row, attention's output and statistics, the fused gate/up row; heads
// before their norm, and both branches before theirs.
static double saved_bytes(const Widths& w, const FitQuestion& q) {
  const double scores = is_manual(q) ? w.heads * static_cast<double>(q.sequence_len) : w.heads;
  const double norms = q.model.post_norms ? 4 : 2;
  return 2 * w.hidden + (w.query + 2 * w.key_value) + w.qk_norm + w.query + scores + w.up +
         2 * w.post_norm + norms * w.statistics;
}

// What is left of it between the two passes.
static double kept_bytes(const Widths& w, const FitQuestion& q) {
  switch (q.gradient_checkpointing) {
    case Checkpointing::none:
      return saved_bytes(w, q);
    case Checkpointing::selective:
      return saved_bytes(w, q) - w.up;
    case Checkpointing::block:
      return w.hidden;
  }
  CHECK(false);
}

// The moments of a step at which memory can be highest, in bytes per token.
struct Moment {
  double activations = 0, workspace = 0;
  bool logits = false, attention = false, product = false;
  bool update = false;
};

static bool widens(const FitQuestion& q) {
  return q.on_cpu && has_weight_copy(q.precision);
}

// Of the optimizer's pass beside its state; before the first one, of filling weights that have no
// fp32 form.
static Bytes update_bytes(const FitQuestion& q) {
  const Bytes pass = optimizer_memory(q.optimizer, q.model).workspace;
  if (q.masters) return pass;
  double largest = 0;
  for (const ParameterShape& shape : parameter_shapes(q.model)) {
    largest = std::max(largest, static_cast<double>(shape.rows * shape.columns));
  }
  const int64_t window = std::min(kUpdateWindow, parameter_count(q.model));
  return std::max(pass + bytes(kFloat * static_cast<double>(window)), bytes(kFloat * largest));
}

// Of the fp32 form of an operand, or of a result that is not yet rounded.
static double widened(const Widths& w, const FitQuestion& q, double size) {
  return widens(q) ? size * kFloat / w.number : 0;
}

// The gradients of attention's output, q, k and v. The plain formula repeats k and v for each query
// head and has whole score matrices: four at once, or two while those gradients are made.
static double attention_bytes(const Widths& w, const FitQuestion& q) {
  const double rows = 2 * w.query + 2 * w.key_value;
  if (!is_manual(q)) return rows + widened(w, q, 3 * w.query + 2 * w.key_value);
  const double scores = w.heads * static_cast<double>(q.sequence_len);
  const double query = std::max(w.query, widened(w, q, w.query));
  const double inputs = (widens(q) ? 6 : 1) * query;
  return std::max(4 * scores + w.heads + inputs, 2 * scores + 6 * query);
}

// While the last block runs, when all others before it have saved what they keep.
static std::vector<Moment> moments(const Widths& w, const FitQuestion& q) {
  const auto before = static_cast<double>(q.model.num_hidden_layers - 1);
  const double block = saved_bytes(w, q);
  const bool again = q.gradient_checkpointing == Checkpointing::block;
  const double kept = kept_bytes(w, q);  // of a block that waits for its backward
  // Offloaded, one waiting block is sent or fetched while another one runs; on a CPU the one that
  // is sent is in memory twice.
  const bool offload = offloads_activations(q.offload), away = offload && !q.on_cpu;
  const double twice = offload && q.on_cpu ? kept : 0;
  const double all = (away ? std::min(before, 1.0) : before) * kept + block;
  const double inputs = (away ? 1 : before + 1) * kept;  // once forward is through
  const double gradient = w.hidden;
  const auto wide = [&](double size) { return widened(w, q, size); };
  const double mlp_input = w.hidden + wide(w.hidden);
  const double mlp_products =
      mlp_input + std::max(std::max(w.mlp - w.post_norm, 0.0) + wide(w.mlp), wide(w.up));
  const double before_mlp = all - w.up - w.hidden - w.post_norm;
  return {
      // The block's forward: its MLP's product and its output. With block checkpointing the same
      // block runs again beside the gradient that waits for it. A norm after the MLP keeps that
      // output, so that it is in `all` already.
      {.activations = all + twice + mlp_products + (again ? gradient : 0), .product = true},
      // The loss: the last residual stream and its norm, and one chunk of logits.
      {.activations = inputs + 2 * w.hidden + w.statistics, .logits = true},
      // The block's backward: first its MLP, then, with the MLP's part gone, its attention. What
      // reaches a branch through its norm lies beside it.
      {.activations = all + gradient, .workspace = w.post_norm},
      {.activations = all + gradient - w.post_norm,
       .workspace = std::max(w.post_norm + w.mlp, mlp_input + wide(w.up)),
       .product = true},
      {.activations = before_mlp + gradient, .workspace = w.post_norm},
      {.activations = before_mlp + gradient - w.post_norm,
       .workspace = attention_bytes(w, q),
       .attention = true},
      {.update = true},
  };
}

// Bytes of attention's backward that do not grow with the micro-batch, where LibTorch does it and
// not trainer/ops/cpu/attention.h: its fused attention takes a window as a mask of floats, made
// from flags; of packed documents one at a time is in work, at most a sequence long.
static double attention_constant(const Widths& w, const FitQuestion& q) {
  if (q.on_cpu && !is_manual(q) && q.model.head_dim % kAttentionLanes == 0) return 0;
  const auto length = static_cast<double>(q.sequence_len);
  const ModelConfig& m = q.model;
  const bool slides = m.sliding_window > 0 && m.sliding_window < q.sequence_len;
  const double masks = slides && !is_manual(q) ? kFloat * length * length : 0;
  const double document = q.packed ? length * (w.query + 2 * w.key_value) : 0;
  return masks + document;
}

// The fp32 form of the largest weight of a block, up's.
static double widened_weight(const FitQuestion& q) {
  if (!widens(q)) return 0;
  const auto hidden = static_cast<double>(q.model.hidden_size);
  return kFloat * hidden * static_cast<double>(q.model.intermediate_size) *
         (q.model.gated_mlp ? 2 : 1);
}

// On a CPU host memory is the device's, so offloaded state counts beside the pieces in use.
static Bytes optimizer_bytes(const FitQuestion& q, const Moment& moment) {
  const OptimizerMemory memory = optimizer_memory(q.optimizer, q.model, q.averaged);
  const Bytes staged = moment.update ? memory.staged : 0;
  if (!offloads_optimizer(q.offload)) return memory.state;
  return q.on_cpu ? memory.state + staged : staged;
}

// Vectors are fp32 in every precision.
static double weights_bytes(const ModelConfig& config, double of_matrix_element) {
  const double vectors = vector_elements(config);
  const double matrices = static_cast<double>(parameter_count(config)) - vectors;
  return of_matrix_element * matrices + kFloat * vectors;
}

// Of the blocks' matrices.
static double matrix_elements(const ModelConfig& config) {
  double elements = 0;
  for (const ParameterShape& shape : parameter_shapes(config)) {
    if (shape.table || shape.rows == 1) continue;
    elements += static_cast<double>(shape.rows * shape.columns) * static_cast<double>(shape.count);
  }
  return elements;
}

static MemoryByCause at_moment(const FitQuestion& q, const Widths& w, const Moment& moment) {
  const int64_t tokens = q.micro_batch_size * q.sequence_len;
  const auto count = static_cast<double>(tokens);
  const auto parameters = static_cast<double>(parameter_count(q.model));
  const auto vocab = static_cast<double>(q.model.vocab_size);
  // Cosines and sines of every position, and with packed documents of every token; a second table
  // for layers that have their own.
  const double tables = q.model.rope_local_theta > 0 ? 2 : 1;
  const auto rotary = tables * static_cast<double>(q.model.head_dim) *
                      static_cast<double>(q.sequence_len + (q.packed ? tokens : 0));
  // One input and one label, and the position where it is needed.
  const double ids = q.packed || q.model.learned_positions ? 3 * 4 : 2 * 4;
  MemoryByCause memory;
  memory.parameters = bytes(weights_bytes(q.model, weight_bytes(q.precision, q.masters)));
  memory.gradients = bytes(kFloat * parameters);
  memory.optimizer = optimizer_bytes(q, moment);
  memory.activations = bytes(count * moment.activations);
  memory.workspace = bytes(count * (moment.workspace + ids) + kFloat * rotary +
                           (moment.attention ? attention_constant(w, q) : 0) +
                           (moment.product ? widened_weight(q) : 0));
  if (moment.update) memory.workspace += update_bytes(q);
  if (!q.on_cpu) memory.workspace += gpu_process_bytes(q.ranks);
  if (moment.logits) {
    const auto rows = static_cast<double>(loss_chunk_tokens(q.model.vocab_size, tokens, q.on_cpu));
    const double buffers = q.model.final_logit_softcapping > 0 ? 2 : 1;
    const double head = widens(q) ? kFloat * vocab * static_cast<double>(q.model.hidden_size) : 0;
    const double rounded = !q.on_cpu && has_weight_copy(q.precision) ? w.number * rows * vocab : 0;
    memory.logits = bytes(buffers * kFloat * rows * vocab + rounded + head);
  }
  return memory;
}

MemoryByCause predict_memory(const FitQuestion& q) {
  MemoryByCause most;
  const Widths w(q.model, q.precision);
  for (const Moment& moment : moments(w, q)) {
    const MemoryByCause memory = at_moment(q, w, moment);
    if (memory.total() > most.total()) most = memory;
  }
  return most;
}

bool packs_documents(const JobSpec& spec) {
  return spec.method == "sft" || spec.sample_packing.value_or(false);
}

static FitQuestion question_of(const JobSpec& spec, const Plan& plan) {
  return {.model = spec.model.config,
          .sequence_len = spec.sequence_len,
          .micro_batch_size = plan.micro_batch_size,
          .gradient_checkpointing = plan.gradient_checkpointing,
          .precision = plan.precision,
          .attention = plan.attention,
          .optimizer = spec.optimizer,
          .packed = packs_documents(spec),
          .averaged = spec.ema_decay > 0,
          .on_cpu = plan.on_cpu,
          .offload = spec.offload,
          .masters = spec.master_weights,
          .ranks = spec.resources.ranks};
}

MemoryByCause predict_memory(const JobSpec& spec, const Plan& plan) {
  MemoryByCause memory = predict_memory(question_of(spec, plan));
  if (plan.pack_weights) memory.parameters += packed_weight_bytes(spec, plan);
  if (plan.copy_checkpoints && plan.on_cpu) memory.workspace += checkpoint_copy_bytes(spec);
  return memory;
}

Bytes checkpoint_copy_bytes(const JobSpec& spec) {
  const bool often = spec.save_steps > 0 || (spec.save_best && spec.eval_steps > 0);
  if (!spec.async_checkpoints || !often) return 0;
  const ModelConfig& model = spec.model.config;
  return bytes(
      weights_bytes(model, spec.master_weights ? kFloat : kFloat / 2) +
      static_cast<double>(optimizer_memory(spec.optimizer, model, spec.ema_decay > 0).state));
}

Bytes packed_weight_bytes(const JobSpec& spec, const Plan& plan) {
  const bool one_pass = plan.gradient_accumulation_steps == 1;
  if (!plan.on_cpu || one_pass || has_weight_copy(plan.precision)) return 0;
  const ModelConfig& model = spec.model.config;
  const auto head = static_cast<double>(model.vocab_size) * static_cast<double>(model.hidden_size);
  return bytes(2 * kFloat * (matrix_elements(model) + head));
}

}  // namespace llmctl
