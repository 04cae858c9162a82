#include "trainer/optim/adamw.h"

#include <ATen/ops/_fused_adamw.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/trainer/close.h"
#include "trainer/optim/gradient_norm.h"

namespace llmctl {
namespace {

constexpr int64_t kWeights = 200'000, kDecaying = 150'003;

TEST(AdamW, EqualsPyTorchsOverAHundredSteps) {
  AdamW optimizer(kWeights, kDecaying);
  at::Tensor weights = numbers({kWeights}, 1), gradients = at::empty({kWeights});
  const std::vector<at::Tensor> decayed = {weights.narrow(0, 0, kDecaying).clone()};
  const std::vector<at::Tensor> plain = {
      weights.narrow(0, kDecaying, kWeights - kDecaying).clone()};
  std::vector<at::Tensor> m1 = {at::zeros_like(decayed[0])}, v1 = {at::zeros_like(decayed[0])},
                          m2 = {at::zeros_like(plain[0])}, v2 = {at::zeros_like(plain[0])}, none,
                          count = {at::zeros({1})};
  for (int step = 1; step <= 100; ++step) {
    const at::Tensor g = numbers({kWeights}, step * 31.0).mul_(0.1);
    count[0].fill_(step);
    at::_fused_adamw_(decayed, {g.narrow(0, 0, kDecaying).clone()}, m1, v1, none, count, 1e-3, 0.9,
                      0.95, 0.1, 1e-8, false, false);
    at::_fused_adamw_(plain, {g.narrow(0, kDecaying, kWeights - kDecaying).clone()}, m2, v2, none,
                      count, 1e-3, 0.9, 0.95, 0.0, 1e-8, false, false);
    gradients.copy_(g).mul_(4);  // a clip of 1/4 takes this back
    optimizer.update(weights, gradients,
                     {.learning_rate = 1e-3, .weight_decay = 0.1, .gradient_scale = 0.25});
  }
  const at::Tensor want = at::cat({decayed[0], plain[0]});
  EXPECT_LE((weights - want).abs().max().item<double>(), 2e-6);
  EXPECT_LE((optimizer.second_moment() - at::cat({v1[0], v2[0]})).abs().max().item<double>(), 1e-6);
}

TEST(AdamW, ClearsTheGradientItUsed) {
  AdamW optimizer(kWeights, kDecaying);
  at::Tensor weights = numbers({kWeights}, 1), gradients = numbers({kWeights}, 2);
  optimizer.update(weights, gradients, {.learning_rate = 1e-3});
  EXPECT_EQ(gradients.count_nonzero().item<int64_t>(), 0);
  EXPECT_EQ(optimizer.updates(), 1);
}

TEST(GradientNorm, IsThatOfAllElementsAndShowsTheOneThatIsNotFinite) {
  at::Tensor gradients = numbers({kWeights}, 3);
  const double norm = gradient_norm(gradients);
  EXPECT_NEAR(norm, gradients.to(at::kDouble).norm().item<double>(), 1e-9 * norm);
  gradients[kWeights - 1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(gradient_norm(gradients)));
  gradients[kWeights - 1] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(gradient_norm(gradients)));
}

TEST(Clipping, ScalesOnlyGradientsAboveTheLimit) {
  EXPECT_EQ(clip_scale(0.5, 1.0), 1.0);
  EXPECT_NEAR(clip_scale(4.0, 1.0), 0.25, 1e-6);
  EXPECT_EQ(clip_scale(1e9, 0), 1.0);
}

}  // namespace
}  // namespace llmctl
