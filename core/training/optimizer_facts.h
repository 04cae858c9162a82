// What each optimizer is: its name in a job file, what it costs beside adamw, and its exact bytes.
// Pure; the trainer's optimizers (trainer/optim/optimizer.h) allocate what is counted here, and a
// test holds the two together. Bytes are of one rank that holds the whole model.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/units.h"
#include "core/model/model_config.h"

namespace llmctl {

struct OptimizerFacts {
  const char* name;
  const char* costs;  // beside adamw, in a few words
};
const std::vector<OptimizerFacts>& optimizers();  // adamw first
const char* optimizer_names();                    // separated by spaces

// Equal parameters of a model. A vector (a norm's weight, a bias) has one row.
struct ParameterShape {
  int64_t rows = 1, columns = 1;
  int64_t count = 1;
  bool table = false;  // an embedding, or the head
};
std::vector<ParameterShape> parameter_shapes(const ModelConfig& config);
double vector_elements(const ModelConfig& config);  // of all vectors

// Of the average of the weights in an optimizer's state (ema_decay), before a parameter's name.
inline constexpr const char* kAveragePrefix = "average.";

struct OptimizerMemory {
  Bytes state = 0;
  Bytes workspace = 0;  // of the update, given back after it
  Bytes staged = 0;     // of offloaded state: at most so much of it is on the device at a time
};
OptimizerMemory optimizer_memory(std::string_view optimizer,
                                 const ModelConfig& config,
                                 bool averaged = false);

// Weights without fp32 masters are updated through fp32 windows of at most so many elements.
inline constexpr int64_t kUpdateWindow = 1 << 22;

// bitsandbytes' block-wise format, as adamw_8bit keeps it.
inline constexpr int64_t kQuantizedBlock = 256;            // elements with one scale
inline constexpr int64_t kLeastQuantizedElements = 4'096;  // smaller tensors stay fp32

}  // namespace llmctl
