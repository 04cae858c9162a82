// Weights, gradients and optimizer moments are each one flat buffer with the same layout
// (parameter_layout.h), so the optimizer and the all-reduce are one pass over memory: fp32, but for
// weights without masters and some moments. Here are the views of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trainer/device/tensor.h"
#include "trainer/layout/parameter_layout.h"
#include "trainer/ops/operands/weights.h"

namespace llmctl {

// The slot's part of a flat buffer, in its shape.
at::Tensor view_of(const at::Tensor& flat, const ParameterSlot& slot);

// Views of one flat buffer: weights, or gradients. What the model does not have is undefined.
struct BlockTensors {
  NormTensors attention_norm, mlp_norm;            // before
  NormTensors attention_post_norm, mlp_post_norm;  // after
  NormTensors q_norm, k_norm;
  LinearTensors qkv, out;
  LinearTensors up;  // gate and up as one when gated
  LinearTensors down;
};
BlockTensors block_tensors(const ParameterLayout& layout, const at::Tensor& flat, int64_t block);

struct OuterTensors {  // `head` is `embedding` when tied
  at::Tensor embedding, positions, head;
  NormTensors norm;
};
OuterTensors outer_tensors(const ParameterLayout& layout, const at::Tensor& flat);

// Fills a contiguous view by writing fp32 to host memory: its own, or for a view on another device
// or of another type a buffer that is copied there.
void fill_from_host(const at::Tensor& view, const std::function<void(float*)>& write);

// Normal(0, initializer_range) for matrices, ones or zeros for vectors. A pure function of seed,
// name and element, the same on every device and for every number of threads.
void initialize(const ParameterLayout& layout, double range, int64_t seed, at::Tensor& weights);

}  // namespace llmctl
