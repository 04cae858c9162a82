// WeightsAsFp32: the flat weights as an optimizer changes them, always in fp32. fp32 weights are
// one window, changed in place. Matrices that exist in bf16 alone are changed through fp32 windows
// of kUpdateWindow elements: widened, changed, and rounded back stochastically (Gupta et al., ICML
// 2015), up with the probability of the distance from below, so that updates smaller than half a
// step of bf16 count on average. The random bits are a hash of seed, update and element: the same
// for any number of threads and on every device. A view, used by one thread; valid as long as the
// weights.
#pragma once

#include <cstdint>
#include <functional>

#include "trainer/model/parameters.h"

namespace llmctl {

struct Fp32Window {
  at::Tensor weights;  // fp32 [n]
  int64_t begin = 0;   // the first of them among all weights

  int64_t size() const { return weights.numel(); }
  // The part of `flat` that belongs to the window; flat[0] belongs to weight `first`.
  at::Tensor of(const at::Tensor& flat, int64_t first = 0) const {
    return flat.narrow(0, begin - first, size());
  }
  int64_t decay_end(int64_t of_all) const;  // within the window
};

class WeightsAsFp32 {
 public:
  WeightsAsFp32(Weights weights, int64_t seed, int64_t update);

  // Calls `change_window` for windows that cover [begin, begin + size), in order.
  void change(int64_t begin,
              int64_t size,
              const std::function<void(const Fp32Window& window)>& change_window);

  double norm(int64_t begin, int64_t size) const;  // Requires: of one parameter
  const Weights& all() const { return weights_; }

 private:
  Weights weights_;
  uint64_t key_;
};

}  // namespace llmctl
