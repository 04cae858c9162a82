// The forms of the optimizers' passes against each other: ATen operators and the bodies of our own
// kernels, run on the CPU, against the fused loops. What many lanes make of the kernels is in
// gpu_test.cc; that whole optimizers equal their references, in optimizers_test.cc.
#include "trainer/optim/updates/updates.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/trainer/close.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/lion.h"
#include "trainer/optim/updates/quantize_blockwise.h"

namespace llmctl {
namespace {

AdamWFactorsByDecay adamw_by_decay(const OptimizerStep& step, int64_t decay_end, int64_t update) {
  return {.decay_end = decay_end,
          .decayed = adamw_factors(step, update, true),
          .plain = adamw_factors(step, update, false)};
}
LionFactorsByDecay lion_by_decay(const OptimizerStep& step, int64_t decay_end) {
  return {.decay_end = decay_end,
          .decayed = lion_factors(step, true),
          .plain = lion_factors(step, false)};
}

TEST(ReferenceUpdates, OfAdamWEqualTheFusedPassWithAndWithoutClipping) {
  constexpr int64_t kElements = 5'000, kDecayEnd = 3'001;
  AdamW fused(kElements, kDecayEnd);
  at::Tensor want = numbers({kElements}, 1), got = want.clone();
  at::Tensor first = at::zeros({kElements}), second = at::zeros({kElements});
  for (int step = 1; step <= 20; ++step) {
    at::Tensor gradients = numbers({kElements}, 31.0 * step), copy = gradients.clone();
    const OptimizerStep options = {
        .learning_rate = 1e-2, .weight_decay = 0.1, .gradient_scale = step % 2 == 0 ? 0.25 : 1.0};
    fused.update(want, gradients, options);
    reference::updates().adamw(got, copy, {first, second},
                               adamw_by_decay(options, kDecayEnd, step));
    EXPECT_EQ(copy.count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_TRUE(close(got, want));
  EXPECT_TRUE(close(first, fused.first_moment()));
  EXPECT_TRUE(close(second, fused.second_moment()));
}

TEST(ReferenceUpdates, SumSquaresInDoubleAndShowTheOneThatIsNotFinite) {
  at::Tensor gradients = numbers({200'000}, 3);
  const std::vector<FlatSpan> spans = {{0, 150'000}, {150'000, 50'000}};
  const std::vector<double> got = reference::updates().sums_of_squares(gradients, spans);
  const std::vector<double> want = cpu::updates().sums_of_squares(gradients, spans);
  for (size_t i = 0; i < spans.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-9 * want[i]);
  gradients[77] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(reference::updates().sums_of_squares(gradients, spans)[0]));
}

TEST(ReferenceUpdates, OfBf16MomentsAndLionEqualTheFusedPasses) {
  constexpr int64_t kElements = 30'000, kDecayEnd = 20'001;
  const OptimizerStep step = {.learning_rate = 1e-3, .weight_decay = 0.1, .gradient_scale = 0.5};
  const at::Tensor start = numbers({kElements}, 1);
  at::Tensor want_bf16 = start.clone(), got_bf16 = start.clone();
  at::Tensor want_lion = start.clone(), got_lion = start.clone();
  const auto moments = [] {
    return Moments{at::zeros({kElements}, at::kBFloat16), at::zeros({kElements}, at::kBFloat16)};
  };
  const Moments got_moments = moments(), want_moments = moments();
  const at::Tensor got_moment = at::zeros({kElements}), want_moment = at::zeros({kElements});
  for (int update = 1; update <= 20; ++update) {
    const at::Tensor gradient = numbers({kElements}, 31.0 * update);
    const AdamWFactorsByDecay adamw = adamw_by_decay(step, kDecayEnd, update);
    const LionFactorsByDecay lion = lion_by_decay(step, kDecayEnd);
    at::Tensor g = gradient.clone();
    cpu::updates().adamw(want_bf16, g, want_moments, adamw);
    reference::updates().adamw(got_bf16, g.copy_(gradient), got_moments, adamw);
    cpu::updates().lion(want_lion, g.copy_(gradient), want_moment, lion);
    reference::updates().lion(got_lion, g.copy_(gradient), got_moment, lion);
    EXPECT_EQ(g.count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_LE(share_astray(got_bf16, want_bf16, start), 1e-4);
  EXPECT_LE(share_astray(got_lion, want_lion, start), 1e-3);  // signs near zero
}

TEST(ReferenceUpdates, OfQuantizedMomentsEqualTheFusedOnes) {
  constexpr int64_t kElements = 9'432;  // ends inside a block
  const OptimizerStep step = {.learning_rate = 1e-3, .weight_decay = 0.1};
  const auto map_tensor = [](const QuantizationMap& map) {
    at::Tensor all = at::empty({511});
    std::memcpy(all.mutable_data_ptr<float>(), map.values.data(), sizeof map.values);
    std::memcpy(all.mutable_data_ptr<float>() + 256, map.middles.data(), sizeof map.middles);
    return all;
  };
  const auto moment = [&](const QuantizationMap& map) {
    return QuantizedMoment{at::zeros({kElements}, at::kByte),
                           at::zeros({quantized_blocks(kElements)}), map_tensor(map)};
  };
  const QuantizedMoment got_first = moment(signed_dynamic_map()), want_first = moment({});
  const QuantizedMoment got_second = moment(unsigned_dynamic_map()), want_second = moment({});
  const at::Tensor start = numbers({kElements}, 1);
  at::Tensor want = start.clone(), got = start.clone();
  for (int update = 1; update <= 20; ++update) {
    const AdamWFactors factors = adamw_factors(step, update, true);
    at::Tensor g = numbers({kElements}, 31.0 * update), want_g = g.clone();
    reference::updates().adamw_8bit(got, g, got_first, got_second, factors);
    cpu::updates().adamw_8bit(want, want_g, want_first, want_second, factors);
    EXPECT_EQ(want_g.count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_LE(share_astray(got, want, start), 1e-3);
}

constexpr int64_t kUpdated = 3'000, kDecayed = 1'999;
constexpr OptimizerStep kClippedStep = {
    .learning_rate = 1e-2, .weight_decay = 0.1, .gradient_scale = 0.25};

TEST(CudaUpdates, OfAdamWEqualTheReferenceWithMomentsOfEitherType) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    at::Tensor got = numbers({kUpdated}, 1), want = got.clone();
    at::Tensor first = at::zeros({kUpdated}, type), second = at::zeros_like(first);
    at::Tensor want_first = first.clone(), want_second = second.clone();
    for (int update = 1; update <= 20; ++update) {
      at::Tensor g = numbers({kUpdated}, 31.0 * update), want_g = g.clone();
      const AdamWFactorsByDecay factors = adamw_by_decay(kClippedStep, kDecayed, update);
      cuda::updates().adamw(got, g, {first, second}, factors);
      reference::updates().adamw(want, want_g, {want_first, want_second}, factors);
      EXPECT_EQ(g.count_nonzero().item<int64_t>(), 0);
    }
    const double most = type == at::kFloat ? 1e-5 : 1e-3;
    EXPECT_TRUE(close(got, want, most));
    EXPECT_TRUE(close(first, want_first, 10 * most));
    EXPECT_TRUE(close(second, want_second, 10 * most));
  }
}

TEST(CudaUpdates, OfLionEqualTheReference) {
  at::Tensor got = numbers({kUpdated}, 1), want = got.clone();
  at::Tensor moment = at::zeros({kUpdated}), want_moment = moment.clone();
  const LionFactorsByDecay factors = lion_by_decay(kClippedStep, kDecayed);
  for (int update = 1; update <= 20; ++update) {
    at::Tensor g = numbers({kUpdated}, 31.0 * update), want_g = g.clone();
    cuda::updates().lion(got, g, moment, factors);
    reference::updates().lion(want, want_g, want_moment, factors);
    EXPECT_EQ(g.count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_TRUE(close(got, want, 1e-3));  // signs near zero
  EXPECT_TRUE(close(moment, want_moment, 1e-5));
}

}  // namespace
}  // namespace llmctl
