// Weights, gradients and optimizer moments are each flat with the same layout (parameter_layout.h),
// so the optimizer and the all-reduce are one pass over memory. Gradients are fp32, moments and
// matrices may be smaller; vectors (norms and biases) are fp32 in every precision: they are few,
// and 1 + w in 16 bits would lose most of w. Here are the views of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trainer/device/tensor.h"
#include "trainer/layout/parameter_layout.h"
#include "trainer/ops/operands/weights.h"

namespace llmctl {

// All weights of a model: one flat buffer; or two, where its matrices have 16 bits.
class Weights {
 public:
  Weights(at::Tensor flat) : matrices_(std::move(flat)) {}  // NOLINT(google-explicit-constructor)
  Weights(at::Tensor matrices, at::Tensor vectors)
      : matrices_(std::move(matrices)), vectors_(std::move(vectors)) {}
  // Zeros; matrices of that type.
  static Weights zeros(const ParameterLayout& layout, at::ScalarType matrices, at::Device device);

  int64_t size() const;                                    // elements
  at::Tensor part(int64_t begin, int64_t elements) const;  // a view. Requires: it is in one buffer
  // Calls `use` for the parts of [begin, begin + elements) that are in one buffer each, in order.
  void for_parts(int64_t begin,
                 int64_t elements,
                 const std::function<void(const at::Tensor& part, int64_t begin)>& use) const;
  const at::Tensor& flat() const;  // Requires: it is one buffer
  bool is_cpu() const { return matrices_.is_cpu(); }
  void zero() const;

 private:
  at::Tensor matrices_;  // and all the rest, where `vectors_` is undefined
  at::Tensor vectors_;   // fp32
};

// The slot's part of flat weights, gradients or moments, in its shape.
at::Tensor view_of(const Weights& flat, const ParameterSlot& slot);

// Views of weights, or of gradients. What the model does not have is undefined.
struct BlockTensors {
  NormTensors attention_norm, mlp_norm;            // before
  NormTensors attention_post_norm, mlp_post_norm;  // after
  NormTensors q_norm, k_norm;
  LinearTensors qkv, out;
  LinearTensors up;  // gate and up as one when gated
  LinearTensors down;
};
BlockTensors block_tensors(const ParameterLayout& layout, const Weights& flat, int64_t block);

struct OuterTensors {  // `head` is `embedding` when tied
  at::Tensor embedding, positions, head;
  NormTensors norm;
};
OuterTensors outer_tensors(const ParameterLayout& layout, const Weights& flat);

// Fills a contiguous view by writing fp32 to host memory: its own, or for a view on another device
// or of another type a buffer that is copied there.
void fill_from_host(const at::Tensor& view, const std::function<void(float*)>& write);

// Normal(0, initializer_range) for matrices, ones or zeros for vectors. A pure function of seed,
// name and element, the same on every device and for every number of threads.
void initialize(const ParameterLayout& layout, double range, int64_t seed, const Weights& weights);

}  // namespace llmctl
