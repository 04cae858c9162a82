// The CUDA path against the CPU's, on a real GPU. Without one every test here says why it skips.
#include <gtest/gtest.h>

#include "core/training/optimizer_facts.h"
#include "tests/trainer/close.h"
#include "tests/trainer/gpu_fixture.h"
#include "tests/trainer/sample_model.h"
#include "tests/trainer/scratch.h"
#include "trainer/device/device_memory.h"
#include "trainer/inference/generate.h"
#include "trainer/ops/cuda/operators.h"
#include "trainer/ops/loss.h"
#include "trainer/ops/operators.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/gradient_norm.h"
#include "trainer/optim/optimizer.h"
#include "trainer/run/saving/train_state.h"

namespace llmctl {
namespace {

constexpr double kModelClose = 1e-4;  // relative: fp32 sums in another order, through whole models

::testing::AssertionResult close(const at::Tensor& got, const at::Tensor& want) {
  return llmctl::close(got, want, kModelClose);
}

TEST_F(Gpu, NormsAndTheirGradientsEqualTheCpus) {
  const at::Tensor x = numbers({130, 96}, 1), w = numbers({96}, 2), dy = numbers({130, 96}, 3);
  const Operators &here = operators_for(x), &gpu = operators_for(there(x));
  const Normed want = here.rms_norm.forward(x, {}, w, 1e-5);
  const Normed got = gpu.rms_norm.forward(there(x), {}, there(w), 1e-5);
  EXPECT_TRUE(close(got.y, want.y));
  EXPECT_TRUE(close(gpu.rms_norm.recompute(there(x), got.statistics, there(w)), want.y));
  at::Tensor dx = numbers({130, 96}, 4), dw = numbers({96}, 5), dx_there = there(dx),
             dw_there = there(dw);
  here.rms_norm.backward(dy, x, want.statistics, w, dx, dw);
  gpu.rms_norm.backward(there(dy), there(x), got.statistics, there(w), dx_there, dw_there);
  EXPECT_TRUE(close(dx_there, dx));
  EXPECT_TRUE(close(dw_there, dw));
}

TEST_F(Gpu, SwigluAndItsGradientEqualTheCpus) {
  at::Tensor want = numbers({130, 192}, 1).mul_(6), got = there(want);
  const Operators &here = operators_for(want), &gpu = operators_for(got);
  EXPECT_TRUE(close(gpu.activation.forward(MlpActivation::swiglu, got),
                    here.activation.forward(MlpActivation::swiglu, want)));
  const at::Tensor da = numbers({130, 96}, 2);
  here.activation.backward(MlpActivation::swiglu, want, da);
  gpu.activation.backward(MlpActivation::swiglu, got, there(da));
  EXPECT_TRUE(close(got, want));
}

// head_dim 6 cannot be had from LibTorch's CUDA attention: it falls back to the plain formula.
TEST_F(Gpu, AttentionAndItsGradientEqualTheCpusForEveryHeadShape) {
  for (const AttentionShape& s : {AttentionShape{70, 4, 4, 64}, AttentionShape{33, 6, 2, 32},
                                  AttentionShape{16, 4, 1, 6}, AttentionShape{129, 2, 2, 128}}) {
    for (const AttentionKind kind : {AttentionKind::sdpa, AttentionKind::manual}) {
      const at::Tensor qkv = numbers({2 * s.sequence, s.row()}, 1);
      const at::Tensor dout = numbers({2 * s.sequence, s.heads * s.head_dim}, 2);
      const AttentionSaved want = attention(qkv, s, {kind}), got = attention(there(qkv), s, {kind});
      EXPECT_TRUE(close(got.out, want.out));
      const AttentionGradient a = attention_backward(dout, qkv, want, s, {kind}),
                              b = attention_backward(there(dout), there(qkv), got, s, {kind});
      const RotaryTable table = rotary_table(s.sequence, s.head_dim, 10'000, at::kCPU);
      at::Tensor dqkv = at::empty_like(qkv), dqkv_there = at::empty_like(there(qkv));
      operators_for(dqkv).rotary.backward(a, s, table, dqkv);
      operators_for(dqkv_there)
          .rotary.backward(b, s, {there(table.cosine), there(table.sine)}, dqkv_there);
      EXPECT_TRUE(close(dqkv_there, dqkv)) << "sequence " << s.sequence;
    }
  }
}

// Whole sequences, a window, packed documents, grouped heads: FlashAttention-2 in bf16 beside the
// plain formula in fp32 on the same rounded numbers.
TEST_F(Gpu, FlashAttentionIsNearThePlainFormula) {
  constexpr double kBf16 = 2e-2;
  const std::vector<int32_t> documents = {0, 5, 70, 71};
  for (const int64_t window : {0, 9}) {
    for (const bool packed : {false, true}) {
      AttentionShape s = {70, 6, 2, 64};
      if (packed) s = {140, 6, 2, 64, documents};
      s.boundaries = boundaries_of(s, 140, device_);
      const at::Tensor qkv = there(numbers({140, s.row()}, 1)).to(at::kBFloat16);
      const at::Tensor dout = there(numbers({140, s.heads * s.head_dim}, 2)).to(at::kBFloat16);
      const AttentionRule flash = {.kind = AttentionKind::flash, .window = window};
      const AttentionRule plain = {.kind = AttentionKind::manual, .window = window};
      const at::Tensor wide = qkv.to(at::kFloat);
      const AttentionSaved got = attention(qkv, s, flash), want = attention(wide, s, plain);
      EXPECT_TRUE(llmctl::close(got.out, want.out, kBf16));
      const AttentionGradient a = attention_backward(dout, qkv, got, s, flash);
      const AttentionGradient b = attention_backward(dout.to(at::kFloat), wide, want, s, plain);
      EXPECT_TRUE(llmctl::close(a.q.contiguous(), b.q.contiguous(), kBf16));
      EXPECT_TRUE(llmctl::close(a.k.contiguous(), b.k.contiguous(), kBf16));
      EXPECT_TRUE(llmctl::close(a.v.contiguous(), b.v.contiguous(), kBf16));
    }
  }
}

TEST_F(Gpu, SixteenBitPassesAreNearTheCpusInFp32) {
  for (const at::ScalarType number : {at::kBFloat16, at::kHalf}) {
    ModelConfig config = sample_config();
    config.hidden_size = 64;  // heads of 16
    config.head_dim = 0;
    config = resolved(config, 0, kSampleLength);
    for (const AttentionKind kind : {AttentionKind::sdpa, AttentionKind::flash}) {
      Model here(config, {.sequence_len = kSampleLength, .attention = kind});
      Model gpu(
          config,
          {.sequence_len = kSampleLength, .attention = kind, .device = device_, .number = number});
      initialize(here.layout(), 0.1, 1, here.writable_weights());
      initialize(gpu.layout(), 0.1, 1, gpu.writable_weights());
      const MicroBatch batch = sample_batch(4, 1);
      const double want = here.forward_backward(batch, 1).item<double>();
      EXPECT_NEAR(gpu.forward_backward(batch, 1).item<double>(), want, 1e-2 * want);
      EXPECT_TRUE(llmctl::close(gpu.gradients(), here.gradients(), 5e-2));
    }
  }
}

TEST_F(Gpu, EmbeddingAndLossEqualTheCpus) {
  const MicroBatch batch = sample_batch(30, 2);
  const int64_t tokens = batch.ids.size(0);
  const at::Tensor table = numbers({77, 40}, 1), dx = numbers({tokens, 40}, 2);
  const Operators &here = operators_for(table), &gpu = operators_for(there(table));
  EXPECT_TRUE(close(gpu.embedding.forward(there(batch.ids), there(table)),
                    here.embedding.forward(batch.ids, table)));
  at::Tensor want = at::zeros({77, 40}), got = there(want);
  here.embedding.backward(batch.ids, dx, want);
  gpu.embedding.backward(there(batch.ids), there(dx), got);
  EXPECT_TRUE(close(got, want));

  at::Tensor hidden = numbers({tokens, 40}, 3).mul_(3), hidden_there = there(hidden);
  const at::Tensor scale = at::scalar_tensor(0.03);
  const at::Tensor loss =
      loss_sum_and_gradient(hidden, batch.labels, table, want, {.scale = scale});
  const at::Tensor loss_there = loss_sum_and_gradient(hidden_there, there(batch.labels),
                                                      there(table), got, {.scale = there(scale)});
  EXPECT_NEAR(loss_there.item<double>(), loss.item<double>(), 1e-5 * loss.item<double>());
  EXPECT_TRUE(close(hidden_there, hidden));
  EXPECT_TRUE(close(got, want));
}

// Many lanes beside one: the bodies of our kernels on the CPU (cuda_kernels_test.cc).
TEST_F(Gpu, KernelsOfEveryTypeEqualTheirBodiesOnTheCpu) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const double most = type == at::kFloat ? kModelClose : 1e-2;
    const auto same = [&](const at::Tensor& got, const at::Tensor& want) {
      return llmctl::close(got, want, most);
    };
    const auto made = [&](at::IntArrayRef shape, double seed) {
      return numbers(shape, seed).to(type);
    };
    for (const int64_t width : {40, 1'000, 20'000}) {  // each number of threads of a row
      at::Tensor x = made({1'300, width}, 1), x_there = there(x);
      const at::Tensor delta = made({1'300, width}, 7), w = numbers({width}, 2);
      const Normed want = cuda::rms_norm.forward(x, delta, w, 1e-5);
      const Normed got = cuda::rms_norm.forward(x_there, there(delta), there(w), 1e-5);
      EXPECT_TRUE(at::equal(x_there.cpu(), x));
      EXPECT_TRUE(same(got.y, want.y)) << width;
      at::Tensor dx = made({1'300, width}, 4), dw = numbers({width}, 5), dx_there = there(dx),
                 dw_there = there(dw);
      cuda::rms_norm.backward(delta, x, want.statistics, w, dx, dw);
      cuda::rms_norm.backward(there(delta), x_there, got.statistics, there(w), dx_there, dw_there);
      EXPECT_TRUE(same(dx_there, dx)) << width;
      EXPECT_TRUE(same(dw_there, dw)) << width;
    }
    for (const MlpActivation kind :
         {MlpActivation::swiglu, MlpActivation::geglu, MlpActivation::geglu_erf,
          MlpActivation::gelu, MlpActivation::gelu_erf}) {
      at::Tensor up = made({37, 48}, 1).mul_(6), up_there = there(up);
      const at::Tensor da = made({37, is_gated(kind) ? 24 : 48}, 2);
      EXPECT_TRUE(
          same(cuda::activation.forward(kind, up_there), cuda::activation.forward(kind, up)));
      cuda::activation.backward(kind, up, da);
      cuda::activation.backward(kind, up_there, there(da));
      EXPECT_TRUE(same(up_there, up));
    }
    const AttentionShape s = {12, 6, 2, 10};
    const RotaryTable table = rotary_table(s.sequence, s.head_dim, 10'000, at::kCPU);
    at::Tensor rows = made({36, s.row()}, 1), rows_there = there(rows);
    cuda::rotary.forward(rows, s, table, 0);
    cuda::rotary.forward(rows_there, s, {there(table.cosine), there(table.sine)}, 0);
    EXPECT_TRUE(same(rows_there, rows));
    const auto by_token = [&](int64_t heads, double seed) {
      return made({3, s.sequence, heads, s.head_dim}, seed).transpose(1, 2);
    };
    const AttentionGradient grad = {by_token(6, 1), by_token(2, 2).contiguous(), by_token(2, 3)};
    cuda::rotary.backward(grad, s, table, rows);
    cuda::rotary.backward({there(grad.q), there(grad.k), there(grad.v)}, s,
                          {there(table.cosine), there(table.sine)}, rows_there);
    EXPECT_TRUE(same(rows_there, rows));
  }
}

// A row of each number of threads; real vocabularies take the most.
TEST_F(Gpu, LossesOfEveryVocabularyEqualTheirBodiesOnTheCpu) {
  for (const int64_t vocabulary : {77, 5'000, 128'256}) {
    at::Tensor want = numbers({30, vocabulary}, 1).mul_(9), got = there(want);
    const at::Tensor labels = at::arange(30, at::kInt).mul_(7'919).remainder_(vocabulary);
    labels.index_fill_(0, at::arange(0, 30, 4, at::kLong), -1);
    const at::Tensor scale = at::scalar_tensor(0.03);
    at::Tensor total = at::zeros({}, at::kDouble), total_there = there(total);
    cuda::cross_entropy.forward(want, labels, scale, total);
    cuda::cross_entropy.forward(got, there(labels), there(scale), total_there);
    EXPECT_NEAR(total_there.item<double>(), total.item<double>(), 1e-4 * total.item<double>());
    EXPECT_TRUE(close(got, want)) << vocabulary;
  }
}

TEST_F(Gpu, AddsAProductWithoutOneOfItsOwn) {
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    const at::Tensor a = numbers({512, 300}, 1).to(type), b = numbers({300, 1'024}, 2).to(type);
    const at::Tensor want =
        numbers({512, 1'024}, 3).add_(at::mm(a.to(at::kFloat), b.to(at::kFloat)));
    at::Tensor sum = there(numbers({512, 1'024}, 3));
    const at::Tensor a_there = there(a), b_there = there(b);
    add_product(sum, a_there, b_there);  // cuBLAS takes its workspace
    sum.copy_(numbers({512, 1'024}, 3));
    device_memory::reset_peak();
    const Bytes before = device_memory::live_bytes();
    add_product(sum, a_there, b_there);
    EXPECT_LT(device_memory::peak_by_cause().total() - device_memory::peak_by_cause().workspace,
              before + 1);
    EXPECT_TRUE(llmctl::close(sum, want, 1e-3));
  }
}

TEST_F(Gpu, UpdatesInOnePassEqualTheCpus) {
  for (const OptimizerFacts& facts : optimizers()) {
    const ParameterLayout layout(sample_config());
    const auto here = make_optimizer(facts.name, layout, at::kCPU);
    const auto gpu = make_optimizer(facts.name, layout, device_);
    at::Tensor want = at::zeros({layout.size()});
    initialize(layout, 0.1, 1, want);
    at::Tensor got = there(want);
    for (int step = 1; step <= 5; ++step) {
      at::Tensor g = numbers({layout.size()}, 31.0 * step), g_there = there(g);
      const OptimizerStep options = {
          .learning_rate = 1e-2, .weight_decay = 0.1, .gradient_scale = 0.5};
      here->update(want, g, options);
      gpu->update(got, g_there, options);
      EXPECT_EQ(g_there.count_nonzero().item<int64_t>(), 0) << facts.name;
    }
    EXPECT_TRUE(llmctl::close(got, want, 2e-2)) << facts.name;  // muon's products are bf16
  }
}

TEST_F(Gpu, OffloadChangesNoBitOfStepsOfAnyOptimizer) {
  for (const OptimizerFacts& facts : optimizers()) {
    std::array<at::Tensor, 2> weights, state;
    for (const bool offload : {false, true}) {
      Model model(sample_config(),
                  {.sequence_len = kSampleLength, .device = device_, .offload = offload});
      initialize(model.layout(), 0.1, 1, model.writable_weights());
      const auto optimizer = make_optimizer(
          facts.name, model.layout(), device_,
          {.ema_decay = 0.9, .offload = offload, .offload_piece = 2 * kQuantizedBlock});
      for (uint64_t step = 0; step < 5; ++step) {
        model.forward_backward(sample_batch(8, step), 0.01);
        optimizer->update(model.writable_weights(), model.gradients(), {.learning_rate = 1e-2});
      }
      weights[offload] = model.weights().flat().cpu();
      state[offload] = optimizer->average().cpu();
      EXPECT_EQ(optimizer->average().is_pinned(), offload);
    }
    EXPECT_TRUE(at::equal(weights[1], weights[0])) << facts.name;
    EXPECT_TRUE(at::equal(state[1], state[0])) << facts.name;
  }
}

TEST_F(Gpu, OffloadedBlocksAndStateAreNotOnTheDevice) {
  ModelConfig config = sample_config();
  config.num_hidden_layers = 12;
  config.hidden_size = 256;
  config.head_dim = 0;
  config.intermediate_size = 1'024;
  config = resolved(config, 0, kSampleLength);
  std::array<MemoryByCause, 2> peak;
  for (const bool offload : {false, true}) {
    device_memory::release_kept_blocks();
    Model model(config, {.sequence_len = kSampleLength, .device = device_, .offload = offload});
    initialize(model.layout(), 0.1, 1, model.writable_weights());
    const auto optimizer = make_optimizer("adamw", model.layout(), device_, {.offload = offload});
    device_memory::reset_peak();
    model.forward_backward(sample_batch(256, 1), 0.01);
    peak[offload] = device_memory::peak_by_cause();
    optimizer->update(model.writable_weights(), model.gradients(), {.learning_rate = 1e-2});
  }
  EXPECT_LT(peak[1].activations, peak[0].activations / 3);
  EXPECT_GT(peak[0].optimizer, 0);
  EXPECT_EQ(peak[1].optimizer, 0);
}

// A model, its optimizer and as many steps as wanted, on one device.
struct Trainee {
  Trainee(at::Device device, AttentionKind kind, Checkpointing checkpointing)
      : model(sample_config(),
              {.sequence_len = kSampleLength,
               .attention = kind,
               .checkpointing = checkpointing,
               .device = device}),
        optimizer(model.layout().size(), model.layout().matrices_end(), device) {
    initialize(model.layout(), 0.1, 1, model.writable_weights());
  }
  double step(uint64_t number) {
    const MicroBatch batch = sample_batch(4, number);
    const auto tokens = static_cast<double>(batch.ids.numel());
    const at::Tensor loss = model.forward_backward(batch, 1 / tokens);
    const double clip = clip_scale(gradient_norm(model.gradients()), 1.0);
    optimizer.update(model.writable_weights(), model.gradients(),
                     {.learning_rate = 1e-3, .weight_decay = 0.1, .gradient_scale = clip});
    return loss.item<double>() / tokens;
  }
  Model model;
  AdamW optimizer;
};

TEST_F(Gpu, WeightsBeginAsOnTheCpu) {
  Trainee here(at::kCPU, AttentionKind::sdpa, Checkpointing::none),
      gpu(device_, AttentionKind::sdpa, Checkpointing::none);
  EXPECT_TRUE(at::equal(gpu.model.weights().flat().cpu(), here.model.weights().flat()));
}

TEST_F(Gpu, LossesOfTwentyStepsEqualTheCpus) {
  for (const AttentionKind kind : {AttentionKind::sdpa, AttentionKind::manual}) {
    for (const auto checkpointing :
         {Checkpointing::none, Checkpointing::selective, Checkpointing::block}) {
      Trainee here(at::kCPU, kind, checkpointing), gpu(device_, kind, checkpointing);
      for (uint64_t step = 0; step < 20; ++step) {
        const double want = here.step(step);
        EXPECT_NEAR(gpu.step(step), want, 1e-3 * want) << "step " << step;
      }
    }
  }
}

TEST_F(Gpu, RepeatsEveryBit) {
  Trainee one(device_, AttentionKind::sdpa, Checkpointing::none),
      two(device_, AttentionKind::sdpa, Checkpointing::none);
  for (uint64_t step = 0; step < 5; ++step) EXPECT_EQ(one.step(step), two.step(step));
  EXPECT_TRUE(at::equal(one.model.weights().flat(), two.model.weights().flat()));
}

TEST_F(Gpu, CheckpointsResumeOnTheCpuWithEveryBit) {
  const Scratch scratch;
  Trainee gpu(device_, AttentionKind::sdpa, Checkpointing::none),
      here(at::kCPU, AttentionKind::sdpa, Checkpointing::none);
  gpu.step(0);
  RunIdentity identity;
  identity.spec.sequence_len = kSampleLength;
  identity.data_hash = "text";
  TrainState first;
  first.step = 1;
  const LiveContent live = live_content(1, first, identity, gpu.model, gpu.optimizer);
  const auto saved = save_checkpoint(scratch.path(), live.content, {});
  ASSERT_TRUE(saved.ok()) << saved.error().message;
  const auto loaded = load_checkpoint(scratch.path() / saved->name);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const auto state = restore(*loaded, identity, here.model, here.optimizer);
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_TRUE(at::equal(here.model.weights().flat(), gpu.model.weights().flat().cpu()));
  EXPECT_TRUE(at::equal(here.optimizer.second_moment(), gpu.optimizer.second_moment().cpu()));
  EXPECT_EQ(here.optimizer.updates(), 1);
  Trainee back(device_, AttentionKind::sdpa, Checkpointing::none);
  ASSERT_TRUE(restore(*loaded, identity, back.model, back.optimizer).ok());
  EXPECT_TRUE(at::equal(back.model.weights().flat(), gpu.model.weights().flat()));
}

TEST_F(Gpu, DecodesTheLogitsOfTheCpu) {
  Trainee here(at::kCPU, AttentionKind::sdpa, Checkpointing::none),
      gpu(device_, AttentionKind::sdpa, Checkpointing::none);
  const MicroBatch batch = sample_batch(1, 4);
  const std::span<const int32_t> ids(batch.ids.const_data_ptr<int32_t>(), kSampleLength - 1);
  Decoder want(here.model), got(gpu.model);
  EXPECT_TRUE(close(got.feed(ids), want.feed(ids)));
  EXPECT_TRUE(close(got.feed({batch.labels.const_data_ptr<int32_t>(), 1}),
                    want.feed({batch.labels.const_data_ptr<int32_t>(), 1})));
}

}  // namespace
}  // namespace llmctl
