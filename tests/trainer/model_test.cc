// The explicit backward against autograd, which is only here: the same decoder is written once more
// as differentiable ATen operators.
#include "trainer/model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/sample_model.h"
#include "trainer/device_memory.h"

namespace llmctl {
namespace {

struct Case {
  const char* name;
  int64_t heads, kv_heads;
  bool tied, checkpointing;
  AttentionKind attention;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

ModelConfig config_of(const Case& c) {
  ModelConfig config = sample_config();
  config.num_attention_heads = c.heads;
  config.num_key_value_heads = c.kv_heads;
  config.tie_word_embeddings = c.tied;
  return config;
}

at::Tensor reference_norm(const at::Tensor& x, const at::Tensor& w, double eps) {
  return x * (x.pow(2).mean(-1, true) + eps).rsqrt() * w;
}

at::Tensor reference_rotate(const at::Tensor& x, double theta) {  // [B, heads, S, D]
  const int64_t s = x.size(2), half = x.size(3) / 2;
  const at::Tensor frequency =
      at::pow(theta, at::arange(half, at::kDouble) * (-2.0 / static_cast<double>(2 * half)));
  const at::Tensor angle = at::outer(at::arange(s, at::kDouble), frequency).to(x.scalar_type());
  const at::Tensor a = x.narrow(3, 0, half), b = x.narrow(3, half, half);
  return at::cat({a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()}, -1);
}

// The mean loss by autograd over one flat leaf with the model's layout.
at::Tensor reference_loss(const Model& model, const at::Tensor& flat, const MicroBatch& batch) {
  const ModelConfig& c = model.config();
  const ParameterLayout& layout = model.layout();
  const int64_t s = model.options().sequence_len, b = batch.ids.size(0) / s;
  const OuterTensors outer = outer_tensors(layout, flat);
  at::Tensor x = outer.embedding.index_select(0, batch.ids);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const BlockTensors w = block_tensors(layout, flat, i);
    const at::Tensor qkv =
        reference_norm(x, w.attention_norm.weight, c.rms_norm_eps).matmul(w.qkv.weight.t());
    const auto heads = [&](int64_t first, int64_t count) {
      return qkv.view({b, s, -1, c.head_dim}).narrow(2, first, count).transpose(1, 2);
    };
    const int64_t h = c.num_attention_heads, kv = c.num_key_value_heads;
    const auto grouped = [&](const at::Tensor& t) { return t.repeat_interleave(h / kv, 1); };
    const at::Tensor q = reference_rotate(heads(0, h), c.rope_theta);
    const at::Tensor k = grouped(reference_rotate(heads(h, kv), c.rope_theta));
    at::Tensor scores = q.matmul(k.transpose(2, 3)) / std::sqrt(static_cast<double>(c.head_dim));
    scores = scores.masked_fill(at::ones({s, s}, at::kBool).triu(1), -INFINITY);
    const at::Tensor attended = at::softmax(scores, -1).matmul(grouped(heads(h + kv, kv)));
    x = x + attended.transpose(1, 2).reshape({b * s, -1}).matmul(w.out.weight.t());
    const at::Tensor gu =
        reference_norm(x, w.mlp_norm.weight, c.rms_norm_eps).matmul(w.up.weight.t());
    const auto parts = gu.chunk(2, -1);
    x = x + (at::silu(parts[0]) * parts[1]).matmul(w.down.weight.t());
  }
  const at::Tensor logits =
      reference_norm(x, outer.norm.weight, c.rms_norm_eps).matmul(outer.head.t());
  return at::cross_entropy_loss(logits, batch.labels.to(at::kLong));
}

double relative_error(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).norm() / want.norm()).item<double>();
}

class Backward : public ::testing::TestWithParam<Case> {};

TEST_P(Backward, EqualsAutograd) {
  const Case& c = GetParam();
  Model model(config_of(c), {kSampleLength, c.attention, c.checkpointing, [] {}});
  initialize(model.layout(), 0.1, 1, model.weights());
  model.weights().add_(at::full({1}, 0.01));  // norms away from one, padding away from zero
  const MicroBatch batch = sample_batch(3, 5);
  const auto tokens = static_cast<double>(batch.ids.numel());

  const double loss = model.forward_backward(batch, 1 / tokens).item<double>() / tokens;

  at::Tensor flat = model.weights().to(at::kDouble).set_requires_grad(true);
  const at::Tensor want = reference_loss(model, flat, batch);
  want.backward();
  EXPECT_NEAR(loss, want.item<double>(), 1e-5 * want.item<double>());
  for (const ParameterSlot& slot : model.layout().slots()) {
    const at::Tensor got = model.layout().view(model.gradients(), slot).to(at::kDouble);
    EXPECT_LE(relative_error(got, model.layout().view(flat.grad(), slot)), 1e-5) << slot.name;
  }
  EXPECT_NEAR(model.forward(batch).item<double>() / tokens, loss, 1e-6 * loss);
}

INSTANTIATE_TEST_SUITE_P(
    Options,
    Backward,
    ::testing::Values(Case{"plain", 4, 4, true, false, AttentionKind::sdpa},
                      Case{"grouped", 4, 2, true, false, AttentionKind::sdpa},
                      Case{"one_kv_head_untied", 4, 1, false, false, AttentionKind::sdpa},
                      Case{"checkpointed", 4, 2, false, true, AttentionKind::sdpa},
                      Case{"manual", 4, 2, true, false, AttentionKind::manual},
                      Case{"manual_checkpointed", 4, 4, false, true, AttentionKind::manual}),
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

TEST(Checkpointing, RecomputesTheSameBits) {
  Model model(sample_config(), {kSampleLength, AttentionKind::sdpa, false, [] {}});
  initialize(model.layout(), 0.1, 1, model.weights());
  const std::vector<MicroBatch> batches = {sample_batch(4, 1)};
  const Pass kept = run_pass(model, batches, 1);
  model.set_checkpointing(true);
  const Pass recomputed = run_pass(model, batches, 1);
  EXPECT_EQ(kept.loss, recomputed.loss);
  EXPECT_TRUE(at::equal(kept.gradients, recomputed.gradients));
}

TEST(Checkpointing, KeepsOnlyBlockInputs) {
  ModelConfig config = sample_config();
  config.num_hidden_layers = 8;
  Model model(config, {kSampleLength, AttentionKind::sdpa, false, [] {}});
  initialize(model.layout(), 0.1, 1, model.weights());
  const auto activations = [&] {
    device_memory::reset_peak();
    run_pass(model, {sample_batch(8, 1)}, 1);
    return device_memory::peak_by_cause().activations;
  };
  const Bytes all = activations();
  model.set_checkpointing(true);
  EXPECT_LT(activations() * 3, all);
}

TEST(Accumulation, GivesTheGradientOfTheWholeBatch) {
  Model model(sample_config(), {kSampleLength, AttentionKind::sdpa, false, [] {}});
  initialize(model.layout(), 0.1, 1, model.weights());
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

TEST(Threads, DoNotChangeTheFusedKernelsSums) {
  Model model(sample_config(), {kSampleLength, AttentionKind::sdpa, false, [] {}});
  const int before = at::get_num_threads();
  initialize(model.layout(), 0.1, 1, model.weights());
  const at::Tensor by_default = model.weights().clone();
  at::set_num_threads(1);
  initialize(model.layout(), 0.1, 1, model.weights());
  EXPECT_TRUE(at::equal(by_default, model.weights()));
  at::set_num_threads(before);
}

TEST(Initialization, GivesEachMatrixItsOwnNormalNumbers) {
  ModelConfig config = sample_config();
  config.hidden_size = 256;
  config.head_dim = 64;
  const ParameterLayout layout(resolved(config, 0, 0));
  at::Tensor weights = at::empty({layout.size()}), other = at::empty({layout.size()});
  initialize(layout, 0.02, 7, weights);
  initialize(layout, 0.02, 8, other);
  const at::Tensor q = layout.view(weights, "model.layers.0.self_attn.q_proj.weight");
  EXPECT_NEAR(q.std().item<double>(), 0.02, 0.0005);
  EXPECT_NEAR(q.mean().item<double>(), 0, 0.0005);
  const at::Tensor o = layout.view(weights, "model.layers.0.self_attn.o_proj.weight");
  EXPECT_LT(at::corrcoef(at::stack({q.flatten(), o.flatten()}))[0][1].abs().item<double>(), 0.03);
  EXPECT_FALSE(at::equal(weights, other));
  EXPECT_TRUE(layout.view(weights, "model.norm.weight").eq(1).all().item<bool>());
}

}  // namespace
}  // namespace llmctl
