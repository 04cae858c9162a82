// Where each parameter slot lies in a Hugging Face directory of its family: Transformers' tensor
// name, and how the slot is cut out of that tensor. GPT-2 stores its products' weights [in, out]
// (Conv1D) and q, k, v as one; Phi-3 fuses q/k/v and gate/up. A slot with a default place is whole:
// same shape, first row 0. Tied heads have no slot and no tensor. Files saved from a model without
// its head lack the first part of the name ("model." or "transformer.").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/layout/parameter_layout.h"

namespace llmctl {

struct HfPlace {
  std::string name;            // "transformer.h.0.attn.c_attn.weight"
  std::vector<int64_t> shape;  // of the whole tensor, as the file has it
  bool transposed = false;     // the file has [in, out]; rows below count outputs, its columns
  int64_t first_row = 0;       // of the tensor, where the slot begins; it has slot.shape[0] rows
};
// One for each slot of ParameterLayout(config), in their order. Requires: to_hf_config(config) is
// ok.
std::vector<HfPlace> hf_places(const ModelConfig& config);

}  // namespace llmctl
