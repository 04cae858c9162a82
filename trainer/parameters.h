// Where every parameter lies: weights, gradients and optimizer moments are each one flat fp32
// buffer with the same layout, so the optimizer and the all-reduce are one pass over memory. q, k,
// v lie back to back (as gate and up do) and are also seen as one matrix. Names are Hugging Face's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/model_config.h"
#include "trainer/tensor.h"

namespace llmctl {

struct ParameterSlot {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;
  int64_t offset = 0;  // elements into the flat buffer
  int64_t elements = 0;
};

class ParameterLayout {
 public:
  explicit ParameterLayout(const ModelConfig& config);  // Requires: problems(config) is empty
  const std::vector<ParameterSlot>& slots() const { return slots_; }
  int64_t size() const { return size_; }                  // elements, with padding
  int64_t matrices_end() const { return matrices_end_; }  // matrices first, then norm weights
  int64_t parameters() const { return parameters_; }      // elements, without padding

  at::Tensor view(const at::Tensor& flat, const ParameterSlot& slot) const;
  at::Tensor view(const at::Tensor& flat, const std::string& name) const;
  // `last` follows `first` in memory: one matrix over all their rows.
  at::Tensor fused(const at::Tensor& flat, const std::string& first, const std::string& last) const;

 private:
  void add(std::string name, std::vector<int64_t> shape);
  void align();
  const ParameterSlot& slot(const std::string& name) const;

  std::vector<ParameterSlot> slots_;
  int64_t size_ = 0, matrices_end_ = 0, parameters_ = 0;
};

struct BlockTensors {  // views of one flat buffer: weights, or gradients
  at::Tensor attention_norm, qkv, out, mlp_norm, gate_up, down;
};
BlockTensors block_tensors(const ParameterLayout& layout, const at::Tensor& flat, int64_t block);

struct OuterTensors {  // `head` is `embedding` when tied
  at::Tensor embedding, norm, head;
};
OuterTensors outer_tensors(const ParameterLayout& layout, const at::Tensor& flat);

// Fills a contiguous fp32 view by writing to host memory: its own, or for a view on another device
// a buffer that is copied there.
void fill_from_host(at::Tensor view, const std::function<void(float*)>& write);

// Normal(0, initializer_range) for matrices, ones for norms. A pure function of seed, name and
// element, the same on every device and for every number of threads.
void initialize(const ParameterLayout& layout, double range, int64_t seed, at::Tensor& weights);

}  // namespace llmctl
