#include "trainer/optim/cuda_updates.h"

#include <type_traits>

namespace llmctl::own {

void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           const Decayed& f) {
  with_number(moments.first.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    if constexpr (!std::is_same_v<Number, at::Half>) {
      run_elements(weights,
                   kernels::AdamWUpdate<Number>{
                       to<float>(weights), to<float>(gradients), to<Number>(moments.first),
                       to<Number>(moments.second), f.end, f.before, f.behind},
                   weights.numel());
    }
  });
}

void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          const LionDecayed& f) {
  run_elements(weights,
               kernels::LionUpdate{to<float>(weights), to<float>(gradients), to<float>(moment),
                                   f.end, f.before, f.behind},
               weights.numel());
}

}  // namespace llmctl::own
