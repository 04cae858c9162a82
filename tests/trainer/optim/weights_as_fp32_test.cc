// Weights that exist in bf16 alone: how their updates are rounded, and that what they learn is what
// fp32 masters learn.
#include "trainer/optim/weights_as_fp32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/training/optimizer_facts.h"
#include "tests/trainer/close.h"
#include "tests/trainer/sample_model.h"
#include "trainer/optim/averaged.h"
#include "trainer/optim/updates/updates.h"

namespace llmctl {
namespace {

at::Tensor rounded(const at::Tensor& values, uint64_t key, int64_t first = 0) {
  at::Tensor out = at::empty(values.sizes(), at::kBFloat16);
  updates_for(values).round_stochastically(values, out, key, first);
  return out;
}

// The multiples of a step of bf16 below and above.
at::Tensor below(const at::Tensor& x) {
  return x.view(at::kInt).bitwise_and(-0x1'0000).view(at::kFloat);
}
at::Tensor above(const at::Tensor& x) {
  return below(x).view(at::kInt).add(0x1'0000).view(at::kFloat);
}

TEST(StochasticRounding, TakesOneOfTheTwoNeighboursAndIsRightOnAverage) {
  constexpr int64_t kValues = 2'000, kDraws = 2'000;
  const at::Tensor values = numbers({kValues}, 3).mul_(4);
  const at::Tensor low = below(values), high = above(values);
  at::Tensor sum = at::zeros({kValues}, at::kDouble);
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    const at::Tensor got = rounded(values, 1'000'003 * draw).to(at::kFloat);
    EXPECT_TRUE(got.eq(low).logical_or(got.eq(high)).all().item<bool>());
    sum.add_(got);
  }
  const at::Tensor step = (high - low).to(at::kDouble);
  const at::Tensor share = (values.to(at::kDouble) - low) / step;  // of the way to the upper one
  const at::Tensor off = (sum / kDraws - values) / step;
  const at::Tensor deviation = (share * (1 - share) / kDraws).sqrt().add_(1e-6);
  EXPECT_LE((off / deviation).abs().max().item<double>(), 6);
  const double all = std::sqrt(0.25 / (kValues * kDraws));
  EXPECT_LE(std::fabs(off.mean().item<double>()), 5 * all);
}

TEST(StochasticRounding, KeepsWhatBf16Has) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const at::Tensor exact = at::cat(
      {numbers({500}, 1).to(at::kBFloat16).to(at::kFloat),
       at::tensor({0.0f, -0.0f, kInfinity, -kInfinity, 1e-40f}).to(at::kBFloat16).to(at::kFloat)});
  for (uint64_t key = 0; key < 20; ++key) {
    EXPECT_TRUE(at::equal(rounded(exact, key).to(at::kFloat), exact));
  }
  EXPECT_TRUE(rounded(at::full({1}, NAN), 1).isnan().all().item<bool>());
}

TEST(StochasticRounding, IsTheSameForAnyNumberOfThreadsAndAnyWindows) {
  constexpr int64_t kValues = 300'000, kFirst = 12'345;
  const at::Tensor values = numbers({kValues}, 2);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor want = rounded(values, 42);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(rounded(values, 42), want));
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(rounded(values.narrow(0, kFirst, 1'000), 42, kFirst),
                        want.narrow(0, kFirst, 1'000)));
  EXPECT_FALSE(at::equal(rounded(values, 43), want));
}

TEST(StochasticRounding, HasTheSameBitsInAtenOperators) {
  const at::Tensor values = numbers({10'000}, 5).mul_(3);
  at::Tensor got = at::empty({10'000}, at::kBFloat16);
  for (const uint64_t key : {7ULL, 0xFEDC'BA98'7654'3210ULL}) {
    for (const int64_t first : {int64_t{0}, int64_t{1} << 33}) {
      reference::updates().round_stochastically(values, got, key, first);
      EXPECT_TRUE(at::equal(got, rounded(values, key, first)));
    }
  }
}

// Whether it goes up says nothing about the next element, nor about the next update.
TEST(StochasticRounding, DrawsAreIndependent) {
  constexpr int64_t kValues = 100'000;
  const at::Tensor half = at::full({kValues}, 1.0f + 0x1p-8f);  // in the middle of two
  const auto ups = [&](int64_t update) {
    at::Tensor weights = at::zeros({kValues}, at::kBFloat16);
    WeightsAsFp32(weights, 42, update).change(0, kValues, [&](const Fp32Window& w) {
      w.weights.copy_(half);
    });
    return weights.gt(1.0f).to(at::kDouble).mul_(2).sub_(1);  // -1 or 1
  };
  const at::Tensor now = ups(1), next = ups(2);
  const double most = 5 / std::sqrt(static_cast<double>(kValues));
  EXPECT_LE(std::fabs(now.mean().item<double>()), most);
  EXPECT_LE(std::fabs((now * next).mean().item<double>()), most);
  EXPECT_LE(std::fabs((now * now.roll(1)).mean().item<double>()), most);
}

TEST(WeightsAsFp32, CoverEveryElementOnceAndAreNoLongerThanOne) {
  constexpr int64_t kElements = kUpdateWindow + 1'000;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    at::Tensor weights = at::zeros({kElements}, type);
    int64_t windows = 0;
    WeightsAsFp32(weights, 1, 1).change(500, kElements - 500, [&](const Fp32Window& w) {
      w.weights.add_(1);
      ++windows;
    });
    EXPECT_EQ(windows, type == at::kFloat ? 1 : 2);
    EXPECT_EQ(weights.narrow(0, 0, 500).count_nonzero().item<int64_t>(), 0);
    EXPECT_TRUE(weights.narrow(0, 500, kElements - 500).eq(1).all().item<bool>());
  }
}

// All of them, whatever the types.
at::Tensor as_fp32(const Weights& weights) {
  std::vector<at::Tensor> parts;
  weights.for_parts(0, weights.size(),
                    [&](const at::Tensor& part, int64_t) { parts.push_back(part.to(at::kFloat)); });
  return at::cat(parts);
}

enum class Form { masters, stochastic, nearest };

struct Course {
  std::string optimizer;
  double learning_rate;
  int steps;
};
// A small model that learns two batches by heart; its last loss, and its weights.
struct Learned {
  double loss = 0;
  at::Tensor start, end;
};
Learned learned(const Course& run, Form form) {
  Model model(sample_config(), {.sequence_len = kSampleLength,
                                .number = at::kBFloat16,
                                .matrices = matrix_type("bf16", form != Form::stochastic)});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  const auto optimizer = make_optimizer(run.optimizer, model.layout(), at::kCPU);
  const MicroBatch batches[] = {sample_batch(4, 5), sample_batch(4, 6)};
  Learned out;
  out.start = as_fp32(model.weights());
  for (int step = 0; step < run.steps; ++step) {
    const MicroBatch& batch = batches[step % 2];
    const auto tokens = static_cast<double>(batch.ids.numel());
    out.loss = model.forward_backward(batch, 1 / tokens).item<double>() / tokens;
    OptimizerStep how;
    how.learning_rate = run.learning_rate;
    how.seed = 3;
    optimizer->update(model.writable_weights(), model.gradients(), how);
    if (form == Form::nearest) {
      const at::Tensor& masters = model.writable_weights().flat();
      masters.copy_(masters.to(at::kBFloat16));
    }
  }
  out.end = as_fp32(model.weights());
  return out;
}

TEST(Bf16Weights, LearnAsMuchAsMastersWhereRoundingToNearestStalls) {
  const Course run = {"adamw", 1e-4, 300};
  const double masters = learned(run, Form::masters).loss;
  EXPECT_NEAR(learned(run, Form::stochastic).loss, masters, 0.02 * masters);
  EXPECT_GT(learned(run, Form::nearest).loss, 1.1 * masters);
}

// How far along the masters' way the others have come.
TEST(Bf16Weights, GoTheWayOfTheirMastersWithEveryOptimizer) {
  for (const OptimizerFacts& facts : optimizers()) {
    SCOPED_TRACE(facts.name);
    const Course run = {facts.name, 1e-4, 40};
    const Learned masters = learned(run, Form::masters);
    const at::Tensor way = (masters.end - masters.start).to(at::kDouble);
    const auto share = [&](Form form) {
      const Learned other = learned(run, form);
      return ((other.end - other.start).to(at::kDouble).dot(way) / way.dot(way)).item<double>();
    };
    EXPECT_NEAR(share(Form::stochastic), 1, 0.1);
    EXPECT_LT(share(Form::nearest), 0.8);
  }
}

TEST(Bf16Weights, AverageTakesTheirPlaceAndGivesItBackToTheBit) {
  Model model(sample_config(),
              {.sequence_len = kSampleLength, .number = at::kBFloat16, .matrices = at::kBFloat16});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  const auto optimizer = make_optimizer("adamw", model.layout(), at::kCPU, {.ema_decay = 0.9});
  for (int step = 0; step < 5; ++step) {
    model.forward_backward(sample_batch(2, 5), 1);
    optimizer->update(model.writable_weights(), model.gradients(), {.learning_rate = 1e-3});
  }
  const at::Tensor weights = as_fp32(model.weights()), average = optimizer->average().clone();
  {
    const UseAverage used(model, *optimizer);
    const at::Tensor off = (as_fp32(model.weights()) - average).abs();
    EXPECT_TRUE(off.le(average.abs() * 0x1p-8).all().item<bool>());
    EXPECT_FALSE(at::equal(as_fp32(model.weights()), weights));
  }
  EXPECT_TRUE(at::equal(as_fp32(model.weights()), weights));
  EXPECT_TRUE(at::equal(optimizer->average(), average));
}

}  // namespace
}  // namespace llmctl
