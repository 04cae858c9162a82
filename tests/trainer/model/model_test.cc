// The explicit backward against autograd, which is only here: the same decoder is written once more
// as differentiable ATen operators.
#include "trainer/model/model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/sample_model.h"
#include "trainer/device/device_memory.h"

namespace llmctl {
namespace {

struct ModelCase {
  const char* name;
  void (*change)(ModelConfig&);
  Checkpointing checkpointing = Checkpointing::none;
  AttentionKind attention = AttentionKind::sdpa;
  bool packed = false;
};
void PrintTo(const ModelCase& c, std::ostream* out) {
  *out << c.name;
}

ModelConfig config_of(const ModelCase& c) {
  ModelConfig config = sample_config();
  config.head_dim = 0;
  c.change(config);
  return resolved(config, 0, kSampleLength);
}

at::Tensor reference_norm(const at::Tensor& x, const NormTensors& w, const ModelConfig& c) {
  if (w.bias.defined()) {
    const at::Tensor centred = x - x.mean(-1, true);
    const at::Tensor unit = centred * (centred.pow(2).mean(-1, true) + c.rms_norm_eps).rsqrt();
    return unit * w.weight + w.bias;
  }
  const at::Tensor unit = x * (x.pow(2).mean(-1, true) + c.rms_norm_eps).rsqrt();
  return unit * (c.norm_plus_one ? w.weight + 1 : w.weight);
}

at::Tensor reference_linear(const at::Tensor& x, const LinearTensors& w) {
  const at::Tensor y = x.matmul(w.weight.t());
  return w.bias.defined() ? y + w.bias : y;
}

// The first `dim` of x [T, heads, D] turned by its position; the angles themselves are
// rope_scaling_test.cc's.
at::Tensor reference_rotate(const at::Tensor& x,
                            const at::Tensor& positions,
                            double theta,
                            int64_t dim) {
  const int64_t half = dim / 2;
  const at::Tensor frequency =
      at::pow(theta, at::arange(half, at::kDouble) * (-2.0 / static_cast<double>(2 * half)));
  const at::Tensor angle = at::outer(positions.to(at::kDouble), frequency).unsqueeze(1);
  const at::Tensor a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  return at::cat({a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin(),
                  x.narrow(2, dim, x.size(2) - dim)},
                 -1);
}

// Which document each row is in, and where in it.
struct Places {
  at::Tensor document, position;  // [T]
};
Places places_of(const MicroBatch& batch) {
  const at::Tensor row = at::arange(batch.ids.size(0), at::kLong);
  if (batch.document_starts.empty()) {
    return {row.div(kSampleLength, "floor"), row.remainder(kSampleLength)};
  }
  at::Tensor document = at::zeros_like(row), first = at::zeros_like(row);
  for (const int32_t start : batch.document_starts) {
    document.add_(row.ge(start));
    first = at::where(row.ge(start), at::full_like(row, start), first);
  }
  return {document, row - first};
}

at::Tensor reference_attention(const Model& model,
                               const BlockTensors& w,
                               const at::Tensor& x,
                               const Places& places,
                               int64_t layer) {
  const ModelConfig& c = model.config();
  const int64_t h = c.num_attention_heads, kv = c.num_key_value_heads;
  const at::Tensor qkv = reference_linear(x, w.qkv).view({x.size(0), -1, c.head_dim});
  at::Tensor q = qkv.narrow(1, 0, h), k = qkv.narrow(1, h, kv);
  if (c.qk_norm) {
    q = reference_norm(q, w.q_norm, c);
    k = reference_norm(k, w.k_norm, c);
  }
  if (!c.learned_positions) {
    const bool local = c.slides(layer) && c.rope_local_theta > 0;
    const double theta = local ? c.rope_local_theta : c.rope_theta;
    q = reference_rotate(q, places.position, theta, c.rotary_dim());
    k = reference_rotate(k, places.position, theta, c.rotary_dim());
  }
  const auto grouped = [&](const at::Tensor& t) {
    return t.repeat_interleave(h / kv, 1).transpose(0, 1);
  };
  const double divisor =
      c.query_pre_attn_scalar > 0 ? c.query_pre_attn_scalar : static_cast<double>(c.head_dim);
  at::Tensor scores = q.transpose(0, 1).matmul(grouped(k).transpose(1, 2)) / std::sqrt(divisor);
  const double cap = c.attn_logit_softcapping;
  if (cap > 0) scores = at::tanh(scores / cap) * cap;
  const at::Tensor row = at::arange(x.size(0), at::kLong);
  const at::Tensor back = row.unsqueeze(1) - row.unsqueeze(0);
  at::Tensor seen =
      back.ge(0).logical_and(places.document.unsqueeze(1).eq(places.document.unsqueeze(0)));
  if (c.slides(layer)) seen = seen.logical_and(back.lt(c.sliding_window));
  scores = scores.masked_fill(seen.logical_not(), -INFINITY);
  const at::Tensor attended = at::softmax(scores, -1).matmul(grouped(qkv.narrow(1, h + kv, kv)));
  return reference_linear(attended.transpose(0, 1).reshape({x.size(0), -1}), w.out);
}

at::Tensor reference_mlp(const BlockTensors& w, const at::Tensor& x, const ModelConfig& c) {
  const auto act = [&](const at::Tensor& t) {
    if (c.activation == "silu") return at::silu(t);
    return at::gelu(t, c.activation == "gelu" ? "none" : "tanh");
  };
  const at::Tensor up = reference_linear(x, w.up);
  if (!c.gated_mlp) return reference_linear(act(up), w.down);
  const auto parts = up.chunk(2, -1);
  return reference_linear(act(parts[0]) * parts[1], w.down);
}

// The mean loss by autograd over one flat leaf with the model's layout.
at::Tensor reference_loss(const Model& model, const at::Tensor& flat, const MicroBatch& batch) {
  const ModelConfig& c = model.config();
  const ParameterLayout& layout = model.layout();
  const OuterTensors outer = outer_tensors(layout, flat);
  const Places places = places_of(batch);
  at::Tensor x = outer.embedding.index_select(0, batch.ids);
  if (c.scale_embedding) x = x * std::sqrt(static_cast<double>(c.hidden_size));
  if (c.learned_positions) x = x + outer.positions.index_select(0, places.position);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const BlockTensors w = block_tensors(layout, flat, i);
    at::Tensor a = reference_attention(model, w, reference_norm(x, w.attention_norm, c), places, i);
    x = x + (c.post_norms ? reference_norm(a, w.attention_post_norm, c) : a);
    a = reference_mlp(w, reference_norm(x, w.mlp_norm, c), c);
    x = x + (c.post_norms ? reference_norm(a, w.mlp_post_norm, c) : a);
  }
  at::Tensor logits = reference_norm(x, outer.norm, c).matmul(outer.head.t());
  const double cap = c.final_logit_softcapping;
  if (cap > 0) logits = at::tanh(logits / cap) * cap;
  return at::cross_entropy_loss(logits, batch.labels.to(at::kLong));
}

double relative_error(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).norm() / want.norm()).item<double>();
}

class Backward : public ::testing::TestWithParam<ModelCase> {};

TEST_P(Backward, EqualsAutograd) {
  const ModelCase& c = GetParam();
  Model model(
      config_of(c),
      {.sequence_len = kSampleLength, .attention = c.attention, .checkpointing = c.checkpointing});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  model.writable_weights().flat().add_(
      at::full({1}, 0.01));  // norms away from one, padding away from zero
  MicroBatch batch = sample_batch(3, 5);
  if (c.packed) batch.document_starts = {0, 1, 9, kSampleLength, 2 * kSampleLength, 60};
  const auto tokens = static_cast<double>(batch.ids.numel());

  const double loss = model.forward_backward(batch, 1 / tokens).item<double>() / tokens;

  at::Tensor flat = model.weights().flat().to(at::kDouble).set_requires_grad(true);
  const at::Tensor want = reference_loss(model, flat, batch);
  want.backward();
  EXPECT_NEAR(loss, want.item<double>(), 1e-5 * want.item<double>());
  // A bias of keys that are not turned moves all scores of a row alike: it has no gradient.
  const double nothing = 1e-6 * flat.grad().norm().item<double>();
  for (const ParameterSlot& slot : model.layout().slots()) {
    const at::Tensor got = view_of(model.gradients(), slot).to(at::kDouble);
    const at::Tensor exact = view_of(flat.grad(), slot);
    if (exact.norm().item<double>() < nothing) {
      EXPECT_LT(got.norm().item<double>(), nothing) << slot.name;
    } else {
      EXPECT_LE(relative_error(got, exact), 1e-5) << slot.name;
    }
  }
  EXPECT_NEAR(model.forward(batch).item<double>() / tokens, loss, 1e-6 * loss);
}

void plain(ModelConfig& c) {
  c.num_key_value_heads = 4;
}
void grouped(ModelConfig&) {}
void one_kv_head_untied(ModelConfig& c) {
  c.num_key_value_heads = 1;
  c.tie_word_embeddings = false;
}
void biases(ModelConfig& c) {
  c.qkv_bias = c.out_bias = c.mlp_bias = true;
}
void qwen2(ModelConfig& c) {
  set_family(c, "qwen2");
  c.sliding_window = 7;
  c.max_window_layers = 1;
}
void qwen3(ModelConfig& c) {
  set_family(c, "qwen3");
  c.head_dim = 20;  // not hidden_size / heads
}
void odd_heads(ModelConfig& c) {
  c.head_dim = kOddHead;
}
void mistral_odd_heads(ModelConfig& c) {
  set_family(c, "mistral");
  c.sliding_window = 5;
  c.head_dim = kOddHead;
}
void mistral(ModelConfig& c) {
  set_family(c, "mistral");
  c.sliding_window = 5;
}
void gpt2(ModelConfig& c) {
  c.num_key_value_heads = 4;
  set_family(c, "gpt2");
}
void gemma2(ModelConfig& c) {
  set_family(c, "gemma2");
  c.query_pre_attn_scalar = 24;
  c.sliding_window = 6;
  c.attn_logit_softcapping = 0.5;  // small enough to bend what a small model has
  c.final_logit_softcapping = 0.7;
}
void gemma3(ModelConfig& c) {
  set_family(c, "gemma3_text");
  c.query_pre_attn_scalar = 24;
  c.sliding_window = 6;
  c.sliding_window_pattern = 3;
}
void layer_norm_with_rotation(ModelConfig& c) {
  c.norm = "layer";
  c.post_norms = true;
}
void erf_gelu_gated_and_partly_turned(ModelConfig& c) {
  c.activation = "gelu";
  c.partial_rotary_factor = 0.5;
}
void erf_gelu(ModelConfig& c) {
  gpt2(c);
  c.activation = "gelu";
}
constexpr auto kSdpa = AttentionKind::sdpa, kManual = AttentionKind::manual;

INSTANTIATE_TEST_SUITE_P(
    Options,
    Backward,
    ::testing::Values(ModelCase{"plain", plain},
                      ModelCase{"grouped", grouped},
                      ModelCase{"one_kv_head_untied", one_kv_head_untied},
                      ModelCase{"selective", qwen2, kSelective},
                      ModelCase{"selective_gemma3", gemma3, kSelective},
                      ModelCase{"checkpointed", one_kv_head_untied, kBlock},
                      ModelCase{"manual", grouped, kNone, kManual},
                      ModelCase{"manual_checkpointed", plain, kBlock, kManual},
                      ModelCase{"biases", biases},
                      ModelCase{"qwen2", qwen2},
                      ModelCase{"qwen3", qwen3},
                      ModelCase{"qwen3_checkpointed", qwen3, kBlock},
                      ModelCase{"odd_heads", odd_heads, kBlock},
                      ModelCase{"mistral_odd_heads", mistral_odd_heads},
                      ModelCase{"packed_odd_heads", mistral_odd_heads, kNone, kSdpa, true},
                      ModelCase{"mistral", mistral},
                      ModelCase{"mistral_manual", mistral, kBlock, kManual},
                      ModelCase{"gpt2", gpt2},
                      ModelCase{"gpt2_checkpointed", gpt2, kBlock},
                      ModelCase{"gemma2", gemma2},
                      ModelCase{"gemma3", gemma3, kBlock},
                      ModelCase{"layer_norm", layer_norm_with_rotation},
                      ModelCase{"erf_gelu_gated", erf_gelu_gated_and_partly_turned},
                      ModelCase{"erf_gelu", erf_gelu, kBlock},
                      ModelCase{"packed", grouped, kNone, kSdpa, true},
                      ModelCase{"packed_gpt2", gpt2, kBlock, kSdpa, true},
                      ModelCase{"packed_mistral", mistral, kNone, kSdpa, true},
                      ModelCase{"packed_manual", qwen3, kNone, kManual, true},
                      ModelCase{"packed_gemma3", gemma3, kNone, kSdpa, true}),
    [](const auto& c) { return std::string(c.param.name); });

struct Pass {
  double loss;
  at::Tensor gradients;
};
Pass run_pass(Model& model, const std::vector<MicroBatch>& batches, double scale) {
  model.gradients().zero_();
  double loss = 0;
  for (const MicroBatch& batch : batches)
    loss += model.forward_backward(batch, scale).item<double>();
  return {loss, model.gradients().clone()};
}

TEST(Checkpointing, RecomputesTheSameBitsForEveryFamily) {
  for (const auto change : {grouped, qwen2, qwen3, mistral, gpt2, gemma2, gemma3}) {
    const ModelConfig config = config_of({"", change});
    Model model(config, {.sequence_len = kSampleLength});
    initialize(model.layout(), 0.1, 1, model.writable_weights());
    std::vector<MicroBatch> batches = {sample_batch(4, 1), sample_batch(4, 1)};
    batches[1].document_starts = {0, 5, kSampleLength, 2 * kSampleLength, 3 * kSampleLength, 80};
    const Pass kept = run_pass(model, batches, 1);
    for (const auto checkpointing : {Checkpointing::selective, Checkpointing::block}) {
      model.set_checkpointing(checkpointing);
      const Pass recomputed = run_pass(model, batches, 1);
      EXPECT_EQ(kept.loss, recomputed.loss) << config.architecture;
      EXPECT_TRUE(at::equal(kept.gradients, recomputed.gradients)) << config.architecture;
    }
  }
}

// Three documents in one sequence, or each in a sequence of its own length.
TEST(Packing, GivesTheLossesAndGradientsOfTheDocumentsByThemselves) {
  for (const auto change : {grouped, qwen3, mistral, gpt2, gemma3}) {
    ModelConfig config = config_of({"", change});
    Model packed(config, {.sequence_len = kSampleLength});
    initialize(packed.layout(), 0.1, 1, packed.writable_weights());
    MicroBatch batch = sample_batch(1, 3);
    batch.document_starts = {0, 4, 15};
    const Pass together = run_pass(packed, {batch}, 1);

    double loss = 0;
    at::Tensor gradients = at::zeros_like(together.gradients);
    for (const auto& [first, length] : {std::pair<int64_t, int64_t>{0, 4}, {4, 11}, {15, 9}}) {
      Model alone(config, {length, AttentionKind::sdpa});
      alone.writable_weights().flat().copy_(packed.weights().flat());
      const Pass one = run_pass(
          alone, {{batch.ids.narrow(0, first, length), batch.labels.narrow(0, first, length)}}, 1);
      loss += one.loss;
      gradients += one.gradients;
    }
    EXPECT_NEAR(together.loss, loss, 1e-5 * loss) << config.architecture;
    EXPECT_LE(relative_error(together.gradients, gradients), 1e-5) << config.architecture;
  }
}

TEST(Packing, OfWholeSequencesIsNoPacking) {
  Model model(sample_config(), {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  MicroBatch batch = sample_batch(3, 2);
  const Pass unpacked = run_pass(model, {batch}, 1);
  batch.document_starts = {0, kSampleLength, 2 * kSampleLength};
  const Pass packed = run_pass(model, {batch}, 1);
  EXPECT_NEAR(packed.loss, unpacked.loss, 1e-6 * unpacked.loss);
  EXPECT_LE(relative_error(packed.gradients, unpacked.gradients), 1e-6);
}

TEST(Checkpointing, KeepsLessTheMoreThereIs) {
  ModelConfig config = sample_config();
  config.num_hidden_layers = 8;
  Model model(config, {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  const auto activations = [&] {
    device_memory::reset_peak();
    run_pass(model, {sample_batch(8, 1)}, 1);
    return device_memory::peak_by_cause().activations;
  };
  const Bytes all = activations();
  model.set_checkpointing(Checkpointing::selective);
  const Bytes selective = activations();
  EXPECT_LT(selective * 3, all * 2);
  model.set_checkpointing(Checkpointing::block);
  EXPECT_LT(activations() * 2, selective);
}

TEST(Accumulation, GivesTheGradientOfTheWholeBatch) {
  Model model(sample_config(), {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  const MicroBatch whole = sample_batch(4, 9);
  std::vector<MicroBatch> parts;
  for (int64_t i = 0; i < 4; ++i) {
    parts.push_back({whole.ids.narrow(0, i * kSampleLength, kSampleLength).clone(),
                     whole.labels.narrow(0, i * kSampleLength, kSampleLength).clone()});
  }
  const double scale = 1.0 / static_cast<double>(whole.ids.numel());
  const Pass once = run_pass(model, {whole}, scale), four = run_pass(model, parts, scale);
  EXPECT_NEAR(once.loss, four.loss, 1e-5 * once.loss);
  EXPECT_LE(relative_error(four.gradients, once.gradients), 1e-5);
}

TEST(PackedWeights, ChangeNoBitOfSeveralStepsOfEveryFamily) {
  for (const char* family : {"llama", "gpt2", "qwen3", "gemma3_text"}) {
    for (const bool tied : {true, false}) {
      ModelConfig config = sample_config();
      config.tie_word_embeddings = tied;
      set_family(config, family);
      config = resolved(config, 0, kSampleLength);
      at::Tensor weights[2], losses[2];
      for (const bool packs : {false, true}) {
        ModelOptions options = {.sequence_len = kSampleLength};
        options.pack_weights = packs;
        Model model(config, options);
        initialize(model.layout(), 0.1, 1, model.writable_weights());
        losses[packs] = at::zeros({}, at::kDouble);
        for (int step = 0; step < 2; ++step) {
          for (const uint64_t pass : {1, 2, 3}) {
            losses[packs].add_(model.forward_backward(sample_batch(4, pass), 0.01));
          }
          model.writable_weights().flat().sub_(model.gradients());
          model.gradients().zero_();
          losses[packs].add_(model.forward(sample_batch(4, 4)));
        }
        weights[packs] = model.weights().flat().clone();
      }
      EXPECT_TRUE(at::equal(weights[0], weights[1])) << family;
      EXPECT_TRUE(at::equal(losses[0], losses[1])) << family;
    }
  }
}

TEST(Parameters, AreAsManyAsTheConfigCounts) {
  for (const auto change : {plain, one_kv_head_untied, biases, qwen2, qwen3, gpt2, gemma2, gemma3,
                            layer_norm_with_rotation}) {
    const ModelConfig config = config_of({"", change});
    EXPECT_EQ(ParameterLayout(config).parameters(), parameter_count(config));
  }
}

TEST(Initialization, GivesEachMatrixItsOwnNormalNumbers) {
  ModelConfig config = sample_config();
  config.hidden_size = 256;
  config.head_dim = 64;
  const ParameterLayout layout(resolved(config, 0, 0));
  at::Tensor weights = at::empty({layout.size()}), other = at::empty({layout.size()});
  initialize(layout, 0.02, 7, weights);
  initialize(layout, 0.02, 8, other);
  const at::Tensor q = view_of(weights, layout.slot("model.layers.0.self_attn.q_proj.weight"));
  EXPECT_NEAR(q.std().item<double>(), 0.02, 0.0005);
  EXPECT_NEAR(q.mean().item<double>(), 0, 0.0005);
  const at::Tensor o = view_of(weights, layout.slot("model.layers.0.self_attn.o_proj.weight"));
  EXPECT_LT(at::corrcoef(at::stack({q.flatten(), o.flatten()}))[0][1].abs().item<double>(), 0.03);
  EXPECT_FALSE(at::equal(weights, other));
  EXPECT_TRUE(view_of(weights, layout.slot("model.norm.weight")).eq(1).all().item<bool>());
}

}  // namespace
}  // namespace llmctl
