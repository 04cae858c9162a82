#include "trainer/optim/weights_as_fp32.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "trainer/device/device_memory.h"
#include "trainer/files/content_hash.h"
#include "trainer/optim/updates/updates.h"

namespace llmctl {

int64_t Fp32Window::decay_end(int64_t of_all) const {
  return std::clamp<int64_t>(of_all - begin, 0, size());
}

WeightsAsFp32::WeightsAsFp32(Weights weights, int64_t seed, int64_t update)
    : weights_(std::move(weights)),
      key_(hash64("update " + std::to_string(update), static_cast<uint64_t>(seed))) {}

void WeightsAsFp32::change(int64_t begin,
                           int64_t size,
                           const std::function<void(const Fp32Window& window)>& change_window) {
  weights_.for_parts(begin, size, [&](const at::Tensor& part, int64_t first) {
    if (part.scalar_type() == at::kFloat) return change_window({part, first});
    const CauseScope cause(Cause::workspace);
    for_pieces(part.numel(), [&](int64_t offset, int64_t elements) {
      at::Tensor stored = part.narrow(0, offset, elements);
      const Fp32Window window = {stored.to(at::kFloat), first + offset};
      change_window(window);
      updates_for(stored).round_stochastically(window.weights, stored, key_, window.begin);
    });
  });
}

double WeightsAsFp32::norm(int64_t begin, int64_t size) const {
  const at::Tensor part = weights_.part(begin, size);
  if (part.scalar_type() == at::kFloat) return part.norm().item<double>();
  double squares = 0;
  for_pieces(size, [&](int64_t offset, int64_t elements) {
    const double norm = part.narrow(0, offset, elements).to(at::kFloat).norm().item<double>();
    squares += norm * norm;
  });
  return std::sqrt(squares);
}

}  // namespace llmctl
