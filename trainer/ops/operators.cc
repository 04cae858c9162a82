#include "trainer/ops/operators.h"

#include "trainer/ops/cpu/operators.h"
#include "trainer/ops/cuda/operators.h"
#include "trainer/ops/reference/operators.h"

namespace llmctl {

const Operators& operators_for(const at::Tensor& rows) {
  static constexpr Operators kCpu = {cpu::rms_norm, cpu::layer_norm, cpu::activation,
                                     cpu::rotary,   cpu::embedding,  cpu::cross_entropy};
  static constexpr Operators kCuda = {cuda::rms_norm, reference::layer_norm, cuda::activation,
                                      cuda::rotary,   reference::embedding,  cuda::cross_entropy};
  static constexpr Operators kReference = {reference::rms_norm,   reference::layer_norm,
                                           reference::activation, reference::rotary,
                                           reference::embedding,  reference::cross_entropy};
  if (rows.is_cuda()) return kCuda;
  if (rows.is_cpu() && rows.scalar_type() == at::kFloat) return kCpu;
  return kReference;
}

}  // namespace llmctl
