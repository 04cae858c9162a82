// Every fused loop on the CPU gives the same bits, however many threads share its rows: a resumed
// run may have other cores.
#include <gtest/gtest.h>

#include <functional>

#include "tests/trainer/close.h"
#include "tests/trainer/sample_model.h"
#include "trainer/ops/cpu/operators.h"
#include "trainer/optim/gradient_norm.h"
#include "trainer/optim/optimizer.h"

namespace llmctl {
namespace {

constexpr int64_t kRows = 301, kWidth = 384;  // several tasks of rows, the last one not full

using Results = std::vector<at::Tensor>;
struct Loop {
  const char* name;
  Results (*run)();
};
void PrintTo(const Loop& loop, std::ostream* out) {
  *out << loop.name;
}

at::Tensor rows_of(double seed, int64_t width = kWidth) {
  return numbers({kRows, width}, seed);
}

Results rms_norm() {
  at::Tensor x = rows_of(1), dx = rows_of(4), dw = numbers({kWidth}, 5);
  const at::Tensor w = numbers({kWidth}, 2);
  const Normed normed = cpu::rms_norm.forward(x, rows_of(6), w, 1e-5);
  cpu::rms_norm.backward(rows_of(3), x, normed.statistics, w, dx, dw);
  return {x, normed.y, normed.statistics, cpu::rms_norm.recompute(x, normed.statistics, w), dx, dw};
}

Results layer_norm() {
  at::Tensor x = rows_of(1), dx = rows_of(4);
  const NormTensors w = {numbers({kWidth}, 2), numbers({kWidth}, 7)};
  NormTensors dw = {numbers({kWidth}, 5), numbers({kWidth}, 8)};
  const Normed normed = cpu::layer_norm.forward(x, rows_of(6), w, 1e-5);
  cpu::layer_norm.backward(rows_of(3), x, normed.statistics, w.weight, dx, dw);
  return {x,
          normed.y,
          normed.statistics,
          cpu::layer_norm.recompute(x, normed.statistics, w),
          dx,
          dw.weight,
          dw.bias};
}

Results activations() {
  Results all;
  for (const MlpActivation kind :
       {MlpActivation::swiglu, MlpActivation::geglu, MlpActivation::geglu_erf, MlpActivation::gelu,
        MlpActivation::gelu_erf}) {
    at::Tensor up = rows_of(1, is_gated(kind) ? 2 * kWidth : kWidth);
    all.push_back(cpu::activation.forward(kind, up));
    cpu::activation.backward(kind, up, rows_of(2));
    all.push_back(up);
  }
  return all;
}

constexpr int64_t kSequence = 43, kSequences = 7;  // as many rows

Results rotary_and_attention() {
  const AttentionShape shape = {kSequence, 4, 2, 32};
  const RotaryTable table = rotary_table(kSequence, shape.head_dim, 10'000, at::kCPU);
  at::Tensor qkv = numbers({kSequences * kSequence, shape.row()}, 1);
  cpu::rotary.forward(qkv, shape, table, 0);
  const AttentionSaved saved = cpu::attention.forward(qkv, shape, {.window = 20});
  const at::Tensor dout = numbers(saved.out.sizes(), 2);
  at::Tensor dqkv = at::empty_like(qkv);
  cpu::rotary.backward(cpu::attention.backward(dout, qkv, saved, shape, {.window = 20}), shape,
                       table, dqkv);
  return {qkv, saved.out, saved.weights[0], dqkv};
}

Results embedding() {
  const at::Tensor ids = sample_batch(13, 1).ids;  // many of them more than once
  at::Tensor dtable = numbers({77, kWidth}, 3);
  cpu::embedding.backward(ids, numbers({ids.size(0), kWidth}, 2), dtable);
  return {cpu::embedding.forward(ids, numbers({77, kWidth}, 1)), dtable};
}

Results cross_entropy() {
  at::Tensor logits = rows_of(1).mul_(5), total = at::zeros({}, at::kDouble);
  const at::Tensor labels = at::arange(kRows, at::kInt).mul_(7).remainder_(kWidth);
  cpu::cross_entropy.forward(logits, labels, at::scalar_tensor(0.01, at::kFloat), total);
  return {logits, total};
}

Results fused_updates() {
  ModelConfig config = sample_config();
  config.hidden_size = 256;
  config.head_dim = 0;
  const ParameterLayout layout(resolved(config, 0, kSampleLength));
  Results all;
  for (const char* name : {"adamw", "adamw_bf16", "adamw_8bit", "lion"}) {
    const auto optimizer = make_optimizer(name, layout, at::kCPU);
    for (const at::ScalarType matrices : {at::kFloat, at::kBFloat16}) {
      const Weights weights = Weights::zeros(layout, matrices, at::kCPU);
      initialize(layout, 0.1, 1, weights);
      for (int step = 1; step <= 2; ++step) {
        at::Tensor gradients = numbers({layout.size()}, step);
        all.push_back(at::scalar_tensor(gradient_norm(gradients), at::kDouble));
        optimizer->update(weights, gradients, {.learning_rate = 1e-2, .weight_decay = 0.1});
      }
      weights.for_parts(0, layout.size(),
                        [&](const at::Tensor& part, int64_t) { all.push_back(part); });
    }
    for (const NamedTensor& state : optimizer->state(layout)) all.push_back(state.tensor);
  }
  return all;
}

class Threads : public ::testing::TestWithParam<Loop> {
 protected:
  void TearDown() override { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

TEST_P(Threads, DoNotChangeTheFusedLoopsSums) {
  at::set_num_threads(1);
  const Results want = GetParam().run();
  for (const int threads : {2, 3, 5}) {
    at::set_num_threads(threads);
    const Results got = GetParam().run();
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_TRUE(at::equal(got[i], want[i])) << "result " << i << " on " << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All,
                         Threads,
                         ::testing::Values(Loop{"rms_norm", rms_norm},
                                           Loop{"layer_norm", layer_norm},
                                           Loop{"activations", activations},
                                           Loop{"rotary_and_attention", rotary_and_attention},
                                           Loop{"embedding", embedding},
                                           Loop{"cross_entropy", cross_entropy},
                                           Loop{"fused_updates", fused_updates}),
                         [](const auto& c) { return std::string(c.param.name); });

}  // namespace
}  // namespace llmctl
