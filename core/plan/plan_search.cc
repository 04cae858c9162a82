#include "core/plan/plan_search.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/plan/memory_model.h"

namespace llmctl {

// Sequences of one optimizer step on one rank.
static int64_t rank_batch(const JobSpec& spec) {
  return std::max<int64_t>(1, spec.global_batch_size / spec.resources.ranks);
}

// Packing saves a fifth of the time of passes of 64 tokens, and 2 to 5 % with 512, for twice the
// bytes of the weights.
static bool packing_pays(const JobSpec& spec, const Plan& plan) {
  constexpr int64_t kMostTokens = 128;  // of a pass
  return plan.micro_batch_size * spec.sequence_len <= kMostTokens;
}

// The choices that trade memory for time and nothing else, where they fit.
static void choose_extras(const JobSpec& spec, Bytes cap_bytes, Plan& plan) {
  Bytes total = predict_memory(spec, plan).total();
  const auto takes = [&](Bytes bytes) {
    const bool fits = bytes > 0 && (cap_bytes <= 0 || total + bytes <= cap_bytes);
    if (fits) total += bytes;
    return fits;
  };
  plan.copy_checkpoints = takes(checkpoint_copy_bytes(spec));
  const Bytes packed = packed_weight_bytes(spec, plan);
  if (spec.pack_weights) {
    plan.pack_weights = *spec.pack_weights && packed > 0;
  } else {
    plan.pack_weights = packing_pays(spec, plan) && takes(packed);
  }
}

static Plan plan_of(const JobSpec& spec,
                    int64_t micro_batch_size,
                    Checkpointing checkpointing,
                    const SearchRoom& room) {
  Plan plan;
  plan.micro_batch_size = micro_batch_size;
  plan.gradient_accumulation_steps = rank_batch(spec) / micro_batch_size;
  plan.gradient_checkpointing = checkpointing;
  plan.precision = spec.precision;
  plan.attention = spec.attention;
  plan.micro_batch_origin = spec.micro_batch_size ? Origin::given : Origin::predicted;
  const bool given = parse_checkpointing(spec.gradient_checkpointing).has_value();
  plan.checkpointing_origin = given ? Origin::given : Origin::predicted;
  plan.on_cpu = room.on_cpu;
  choose_extras(spec, room.cap_bytes, plan);
  plan.predicted = predict_memory(spec, plan);
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

static std::vector<Checkpointing> checkpointing_choices(const JobSpec& spec) {
  const std::optional<Checkpointing> given = parse_checkpointing(spec.gradient_checkpointing);
  if (given) return {*given};
  return {Checkpointing::none, Checkpointing::selective, Checkpointing::block};
}

// Larger passes use the device better, and recomputing costs more work than any of them gains; so:
// without checkpointing first, and from large to small.
std::vector<Plan> candidate_plans(const JobSpec& spec, const SearchRoom& room) {
  constexpr double kDoubt = 1.25;  // how far a prediction may be too high
  const std::vector<int64_t> sizes = spec.micro_batch_size
                                         ? std::vector<int64_t>{*spec.micro_batch_size}
                                         : divisors_from_large(rank_batch(spec));
  std::vector<Plan> plans;
  std::optional<Plan> smallest;
  for (const Checkpointing checkpointing : checkpointing_choices(spec)) {
    for (int64_t size : sizes) {
      Plan plan = plan_of(spec, size, checkpointing, room);
      if (!smallest || plan.peak_bytes_predicted < smallest->peak_bytes_predicted) smallest = plan;
      const bool fits = room.cap_bytes <= 0 || static_cast<double>(plan.peak_bytes_predicted) <=
                                                   kDoubt * static_cast<double>(room.cap_bytes);
      if (fits && plans.size() < limits::kProbeCandidates) plans.push_back(plan);
    }
  }
  if (plans.empty()) plans.push_back(*smallest);
  return plans;
}

std::optional<Plan> smaller_plan(const JobSpec& spec, const Plan& plan) {
  const SearchRoom tight = {1, plan.on_cpu};  // who ran out has no room for copies
  if (plan.oom_refits >= limits::kOomRefits) return std::nullopt;
  const Bytes too_much = predict_memory(spec, plan).total();
  std::optional<Plan> next;
  if (!spec.micro_batch_size) {
    for (int64_t size : divisors_from_large(rank_batch(spec))) {
      if (next || size * 2 > plan.micro_batch_size) continue;
      // The logits of a smaller one may need more: its loss is taken in chunks of another size.
      const Plan smaller = plan_of(spec, size, plan.gradient_checkpointing, tight);
      if (smaller.peak_bytes_predicted < too_much) next = smaller;
    }
  }
  for (const Checkpointing more : checkpointing_choices(spec)) {
    if (next || more <= plan.gradient_checkpointing) continue;
    const Plan smaller = plan_of(spec, plan.micro_batch_size, more, tight);
    if (smaller.peak_bytes_predicted < too_much) next = smaller;
  }
  if (next) next->oom_refits = plan.oom_refits + 1;
  return next;
}

static int64_t option_bits(const ModelConfig& m) {
  int64_t bits = 0;
  for (const bool option :
       {m.norm == "layer", m.norm_plus_one, m.post_norms, m.qk_norm, m.qkv_bias, m.out_bias,
        m.mlp_bias, m.gated_mlp, m.activation == "silu", m.scale_embedding,
        m.attn_logit_softcapping > 0, m.final_logit_softcapping > 0}) {
    bits = 2 * bits + (option ? 1 : 0);
  }
  return bits;
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
  add("options", option_bits(m));
  add("positions", m.learned_positions ? m.max_position_embeddings : 0);
  add("window", m.sliding_window);
  add("pattern", m.sliding_window_pattern);
  add("full", m.max_window_layers);
  add("seq", spec.sequence_len);
  add("ranks", spec.resources.ranks);
  // What may be chosen decides which plans were measured.
  add("batch", rank_batch(spec));
  add("packed", packs_documents(spec) ? 1 : 0);
  add("micro", spec.micro_batch_size.value_or(0));
  add("averaged", spec.ema_decay > 0 ? 1 : 0);
  add("graphs", spec.cuda_graphs ? 1 : 0);
  add("masters", spec.master_weights ? 1 : 0);
  add("copies", checkpoint_copy_bytes(spec) > 0 ? 1 : 0);
  add("packs", spec.pack_weights ? (*spec.pack_weights ? 1 : 0) : -1);
  if (device_type.starts_with("cuda")) {  // what a measurement holds beside tensors
    add("process_mib", gpu_process_bytes(spec.resources.ranks) >> 20);
  }
  const std::optional<Checkpointing> given = parse_checkpointing(spec.gradient_checkpointing);
  add("checkpointing", given ? static_cast<int64_t>(*given) : -1);
  return key + " " + spec.precision + " " + spec.attention + " " + spec.optimizer + " " +
         spec.offload + " on " + std::string(device_type);
}

}  // namespace llmctl
