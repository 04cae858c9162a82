// Tensors for comparing kernels: made-up numbers, and how far two results may be apart.
#pragma once

#include <gtest/gtest.h>

#include "trainer/device/tensor.h"

namespace llmctl {

inline at::Tensor numbers(at::IntArrayRef shape, double seed) {
  at::Tensor flat = at::arange(c10::multiply_integers(shape), at::kDouble);
  return flat.add_(seed).mul_(12.9898).sin_().to(at::kFloat).view(shape);
}

inline constexpr double kClose = 1e-5;  // relative: fp32 sums in another order

// By the norm of the difference, relative to that of `want`; both from any device.
inline ::testing::AssertionResult close(const at::Tensor& got,
                                        const at::Tensor& want,
                                        double relative = kClose) {
  const at::Tensor given = got.cpu().to(at::kDouble), exact = want.cpu().to(at::kDouble);
  const double error = ((given - exact).norm() / (exact.norm() + 1e-30)).item<double>();
  if (error <= relative) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "relative error " << error;
}

// How far two ends of a way are apart, as a share of the way.
inline double share_astray(const at::Tensor& got, const at::Tensor& want, const at::Tensor& start) {
  return ((got - want).norm() / (want - start).norm()).item<double>();
}

}  // namespace llmctl
