#include "trainer/optim/updates/updates.h"

#include <type_traits>

#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::cuda {
namespace {

void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           const AdamWFactorsByDecay& f) {
  with_number(moments.first.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    if constexpr (!std::is_same_v<Number, at::Half>) {
      run_elements(weights,
                   kernels::AdamWUpdate<Number>{
                       to<float>(weights), to<float>(gradients), to<Number>(moments.first),
                       to<Number>(moments.second), f.decay_end, f.decayed, f.plain},
                   weights.numel());
    }
  });
}

void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          const LionFactorsByDecay& f) {
  run_elements(weights,
               kernels::LionUpdate{to<float>(weights), to<float>(gradients), to<float>(moment),
                                   f.decay_end, f.decayed, f.plain},
               weights.numel());
}

}  // namespace

const Updates& updates() {
  static const Updates table = [] {
    Updates mixed = reference::updates();
    mixed.adamw = adamw;
    mixed.lion = lion;
    return mixed;
  }();
  return table;
}

}  // namespace llmctl::cuda
