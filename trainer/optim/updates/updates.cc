#include "trainer/optim/updates/updates.h"

#include "trainer/optim/updates/cpu_updates.h"
#include "trainer/optim/updates/cuda_updates.h"
#include "trainer/optim/updates/reference_updates.h"

namespace llmctl {
namespace {

constexpr Updates kCpuUpdates = {
    .adamw = cpu::adamw,
    .adamw_8bit = cpu::adamw_8bit,
    .lion = cpu::lion,
    .round_stochastically = cpu::round_stochastically,
    .sums_of_squares = cpu::sums_of_squares,
};

constexpr Updates kReferenceUpdates = {
    .adamw = reference::adamw,
    .adamw_8bit = reference::adamw_8bit,
    .lion = reference::lion,
    .round_stochastically = reference::round_stochastically,
    .sums_of_squares = reference::sums_of_squares,
};

constexpr Updates kCudaUpdates = {
    .adamw = cuda::adamw,
    .adamw_8bit = reference::adamw_8bit,
    .lion = cuda::lion,
    .round_stochastically = reference::round_stochastically,
    .sums_of_squares = reference::sums_of_squares,
};

}  // namespace

const Updates& updates_for(const at::Tensor& weights) {
  if (weights.is_cuda()) return kCudaUpdates;
  return weights.is_cpu() ? kCpuUpdates : kReferenceUpdates;
}

}  // namespace llmctl
