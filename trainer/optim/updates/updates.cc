#include "trainer/optim/updates/updates.h"

namespace llmctl {

const Updates& updates_for(const at::Tensor& weights) {
  if (weights.is_cuda()) return cuda::updates();
  return weights.is_cpu() ? cpu::updates() : reference::updates();
}

}  // namespace llmctl
