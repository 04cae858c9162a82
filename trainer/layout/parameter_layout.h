// Where every parameter lies in a flat buffer: weights, gradients and optimizer moments share this
// layout. q, k, v lie back to back (as gate and up do), their biases too, so each can also be seen
// as one. Matrices come first, then norms and biases, which do not decay. Names are those of
// Llama's files in Transformers, for every family, and Gemma's for norms that Llama does not
// have. Free of LibTorch, so that what only moves weights can use it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/model_config.h"

namespace llmctl {

struct ParameterSlot {                       // of one parameter
  enum class Start { normal, ones, zeros };  // of training from nothing
  std::string name;                          // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;
  int64_t offset = 0;  // elements into the flat buffer
  int64_t elements = 0;
  Start start = Start::normal;
};

class ParameterLayout {
 public:
  explicit ParameterLayout(const ModelConfig& config);  // Requires: problems(config) is empty

  const std::vector<ParameterSlot>& slots() const { return slots_; }  // in order of their offsets
  int64_t size() const { return size_; }                              // elements, with padding
  int64_t matrices_end() const { return matrices_end_; }  // where norms and biases begin
  int64_t parameters() const { return parameters_; }      // elements, without padding

  const ParameterSlot& slot(const std::string& name) const;  // Requires: the model has it
  const ParameterSlot* find(const std::string& name) const;  // nullptr: the model does not have it

 private:
  class Builder;

  std::vector<ParameterSlot> slots_;
  int64_t size_ = 0, matrices_end_ = 0, parameters_ = 0;
};

// "model.layers.<block>.<part>".
std::string block_parameter(int64_t block, const char* part);

}  // namespace llmctl
