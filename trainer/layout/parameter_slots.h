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

struct ParameterSlot {
  enum class Start { normal, ones, zeros };  // of training from nothing
  std::string name;                          // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;
  int64_t offset = 0;  // elements into the flat buffer
  int64_t elements = 0;
  Start start = Start::normal;
};

struct ParameterSlots {
  std::vector<ParameterSlot> slots;
  int64_t size = 0;          // elements, with padding
  int64_t matrices_end = 0;  // where norms and biases begin
  int64_t parameters = 0;    // elements, without padding
};
ParameterSlots parameter_slots(const ModelConfig& config);  // Requires: problems(config) is empty

// "model.layers.<block>.<part>".
std::string block_parameter(int64_t block, const char* part);

}  // namespace llmctl
