#include "trainer/ops/operators.h"

#include "trainer/ops/cpu/activations.h"
#include "trainer/ops/cpu/cross_entropy.h"
#include "trainer/ops/cpu/embedding.h"
#include "trainer/ops/cpu/norms.h"
#include "trainer/ops/cpu/rotary.h"
#include "trainer/ops/cuda/activations.h"
#include "trainer/ops/cuda/cross_entropy.h"
#include "trainer/ops/cuda/norms.h"
#include "trainer/ops/cuda/rotary.h"
#include "trainer/ops/reference/activations.h"
#include "trainer/ops/reference/cross_entropy.h"
#include "trainer/ops/reference/embedding.h"
#include "trainer/ops/reference/norms.h"
#include "trainer/ops/reference/rotary.h"

namespace llmctl {
namespace {

constexpr Operators kCpuOperators = {
    .rms_norm = cpu::rms_norm,
    .recompute_rms_norm = cpu::recompute_rms_norm,
    .rms_norm_backward = cpu::rms_norm_backward,
    .layer_norm = cpu::layer_norm,
    .recompute_layer_norm = cpu::recompute_layer_norm,
    .layer_norm_backward = cpu::layer_norm_backward,
    .activate = cpu::activate,
    .activate_backward = cpu::activate_backward,
    .rotate = cpu::rotate,
    .rotate_back = cpu::rotate_back,
    .embed = cpu::embed,
    .embed_backward = cpu::embed_backward,
    .cross_entropy = cpu::cross_entropy,
};

constexpr Operators kReferenceOperators = {
    .rms_norm = reference::rms_norm,
    .recompute_rms_norm = reference::recompute_rms_norm,
    .rms_norm_backward = reference::rms_norm_backward,
    .layer_norm = reference::layer_norm,
    .recompute_layer_norm = reference::recompute_layer_norm,
    .layer_norm_backward = reference::layer_norm_backward,
    .activate = reference::activate,
    .activate_backward = reference::activate_backward,
    .rotate = reference::rotate,
    .rotate_back = reference::rotate_back,
    .embed = reference::embed,
    .embed_backward = reference::embed_backward,
    .cross_entropy = reference::cross_entropy,
};

// Layer norm and embedding have no kernel of ours: LibTorch's operators are used there, too.
constexpr Operators kCudaOperators = {
    .rms_norm = cuda::rms_norm,
    .recompute_rms_norm = cuda::recompute_rms_norm,
    .rms_norm_backward = cuda::rms_norm_backward,
    .layer_norm = reference::layer_norm,
    .recompute_layer_norm = reference::recompute_layer_norm,
    .layer_norm_backward = reference::layer_norm_backward,
    .activate = cuda::activate,
    .activate_backward = cuda::activate_backward,
    .rotate = cuda::rotate,
    .rotate_back = cuda::rotate_back,
    .embed = reference::embed,
    .embed_backward = reference::embed_backward,
    .cross_entropy = cuda::cross_entropy,
};

}  // namespace

const Operators& operators_for(const at::Tensor& rows) {
  if (rows.is_cuda()) return kCudaOperators;
  if (rows.is_cpu() && rows.scalar_type() == at::kFloat) return kCpuOperators;
  return kReferenceOperators;
}

}  // namespace llmctl
