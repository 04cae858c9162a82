#include "core/memory_model.h"

#include <algorithm>
#include <cmath>

#include "core/limits.h"

namespace llmctl {

static constexpr double kFloat = 4;  // bytes

// Products of hostile shapes stay finite as doubles; this keeps sums of causes inside 63 bits.
static Bytes bytes(double value) {
  constexpr double kMost = 1e18;
  return static_cast<Bytes>(std::min(std::ceil(value), kMost));
}

// Widths of a block in floats per token.
struct Widths {
  double hidden, query, key_value, heads, mlp;
  explicit Widths(const ModelConfig& c)
      : hidden(static_cast<double>(c.hidden_size)),
        query(static_cast<double>(c.num_attention_heads * c.head_dim)),
        key_value(static_cast<double>(c.num_key_value_heads * c.head_dim)),
        heads(static_cast<double>(c.num_attention_heads)),
        mlp(static_cast<double>(c.intermediate_size)) {}
};

// What a block keeps from its forward for its backward, besides its input: both norms' outputs and
// reciprocal deviations, q, k, v, attention's output and log-sum-exp, the middle residual, and
// gate, up and their product.
static double saved_floats(const Widths& w, const FitQuestion& q) {
  const double norms = 2 * w.hidden + 2;
  const double attention = 2 * w.query + 2 * w.key_value + w.heads;
  const double probabilities =
      q.attention == "manual" ? w.heads * static_cast<double>(q.sequence_len) : 0;
  return norms + attention + probabilities + w.hidden + 3 * w.mlp;
}

// The largest transient set while one block runs backward: the gradients entering and leaving it,
// and either the MLP's three gradients or attention's four.
static double working_floats(const Widths& w, const FitQuestion& q) {
  const double mlp = 3 * w.mlp;
  double attention = 2 * w.query + 4 * w.key_value;
  if (q.attention == "manual") attention += 2 * w.heads * static_cast<double>(q.sequence_len);
  return 3 * w.hidden + std::max(mlp, attention);
}

int64_t loss_chunk_tokens(int64_t vocab_size, int64_t tokens) {
  constexpr int64_t kLeastTokens = 256, kLogits = 2 << 20;
  const int64_t most = std::max(kLeastTokens, kLogits / vocab_size);
  const int64_t chunks = (tokens + most - 1) / most;
  return (tokens + chunks - 1) / chunks;
}

MemoryByCause predict_memory(const FitQuestion& q) {
  const Widths w(q.model);
  const auto parameters = static_cast<double>(parameter_count(q.model));
  const double tokens =
      static_cast<double>(q.micro_batch_size) * static_cast<double>(q.sequence_len);
  const auto layers = static_cast<double>(q.model.num_hidden_layers);
  const auto vocab = static_cast<double>(q.model.vocab_size);

  const double block = saved_floats(w, q);
  const double kept_blocks = q.gradient_checkpointing ? 1 : layers;
  // The loss is taken over chunks of rows, so that logits stay at 64 MiB whatever the batch.
  constexpr double kLogitFloats = 1 << 24;
  const double rows = std::min(tokens, std::max(1.0, std::floor(kLogitFloats / vocab)));
  constexpr double kIdBytes = 2 * 8;  // one input and one target

  MemoryByCause memory;
  memory.parameters = bytes(kFloat * parameters);
  memory.gradients = bytes(kFloat * parameters);
  memory.optimizer = bytes(2 * kFloat * parameters);
  memory.activations = bytes(
      tokens * (kFloat * (layers * w.hidden + kept_blocks * block + 2 * w.hidden) + kIdBytes));
  memory.logits = bytes(2 * kFloat * rows * vocab);
  memory.workspace = bytes(kFloat * tokens * working_floats(w, q));
  return memory;
}

static FitQuestion question_of(const JobSpec& spec, const Plan& plan) {
  return {spec.model.config,           spec.sequence_len, plan.micro_batch_size,
          plan.gradient_checkpointing, plan.precision,    plan.attention};
}

// Sequences of one optimizer step on one rank.
static int64_t rank_batch(const JobSpec& spec) {
  return std::max<int64_t>(1, spec.global_batch_size / spec.resources.ranks);
}

static Plan plan_of(const JobSpec& spec, int64_t micro_batch_size, bool checkpointing) {
  Plan plan;
  plan.micro_batch_size = micro_batch_size;
  plan.gradient_accumulation_steps = rank_batch(spec) / micro_batch_size;
  plan.gradient_checkpointing = checkpointing;
  plan.precision = spec.precision;
  plan.attention = spec.attention;
  plan.micro_batch_origin = spec.micro_batch_size ? Origin::given : Origin::predicted;
  plan.checkpointing_origin = spec.gradient_checkpointing ? Origin::given : Origin::predicted;
  plan.predicted = predict_memory(question_of(spec, plan));
  plan.peak_bytes_predicted = plan.predicted.total();
  return plan;
}

static std::vector<int64_t> divisors_from_large(int64_t number) {
  std::vector<int64_t> small, all;
  for (int64_t d = 1; d * d <= number; ++d) {
    if (number % d == 0) small.push_back(d);
  }
  for (int64_t d : small) all.push_back(number / d);
  for (auto it = small.rbegin(); it != small.rend(); ++it) {
    if (*it != all.back()) all.push_back(*it);
  }
  return all;
}

// Larger passes use the device better, and recomputing costs a third more work than any of them
// gains; so: without checkpointing first, and from large to small.
std::vector<Plan> candidate_plans(const JobSpec& spec, Bytes cap_bytes) {
  constexpr double kDoubt = 1.25;  // how far a prediction may be too high
  const std::vector<int64_t> sizes = spec.micro_batch_size
                                         ? std::vector<int64_t>{*spec.micro_batch_size}
                                         : divisors_from_large(rank_batch(spec));
  std::vector<Plan> plans;
  std::optional<Plan> smallest;
  for (bool checkpointing : {false, true}) {
    if (spec.gradient_checkpointing.value_or(checkpointing) != checkpointing) continue;
    for (int64_t size : sizes) {
      Plan plan = plan_of(spec, size, checkpointing);
      if (!smallest || plan.peak_bytes_predicted < smallest->peak_bytes_predicted) smallest = plan;
      const bool fits = cap_bytes <= 0 || static_cast<double>(plan.peak_bytes_predicted) <=
                                              kDoubt * static_cast<double>(cap_bytes);
      if (fits && plans.size() < limits::kProbeCandidates) plans.push_back(plan);
    }
  }
  if (plans.empty()) plans.push_back(*smallest);
  return plans;
}

std::optional<Plan> smaller_plan(const JobSpec& spec, const Plan& plan) {
  if (plan.oom_refits >= limits::kOomRefits) return std::nullopt;
  std::optional<Plan> next;
  if (!spec.micro_batch_size) {
    for (int64_t size : divisors_from_large(rank_batch(spec))) {
      if (next || size * 2 > plan.micro_batch_size) continue;
      next = plan_of(spec, size, plan.gradient_checkpointing);
    }
  }
  if (!next && !spec.gradient_checkpointing && !plan.gradient_checkpointing) {
    next = plan_of(spec, plan.micro_batch_size, true);
  }
  if (next) next->oom_refits = plan.oom_refits + 1;
  return next;
}

std::string profile_key(const JobSpec& spec, std::string_view device_type) {
  const ModelConfig& m = spec.model.config;
  std::string key = m.architecture;
  const auto add = [&key](const char* name, int64_t value) {
    key += std::string(" ") + name + std::to_string(value);
  };
  add("vocab", m.vocab_size);
  add("hidden", m.hidden_size);
  add("mlp", m.intermediate_size);
  add("layers", m.num_hidden_layers);
  add("heads", m.num_attention_heads);
  add("kv", m.num_key_value_heads);
  add("head_dim", m.head_dim);
  add("tied", m.tie_word_embeddings ? 1 : 0);
  add("seq", spec.sequence_len);
  add("ranks", spec.resources.ranks);
  // What may be chosen decides which plans were measured.
  add("batch", rank_batch(spec));
  add("micro", spec.micro_batch_size.value_or(0));
  add("checkpointing", spec.gradient_checkpointing ? (*spec.gradient_checkpointing ? 1 : 0) : -1);
  return key + " " + spec.precision + " " + spec.attention + " " + spec.optimizer + " on " +
         std::string(device_type);
}

}  // namespace llmctl
