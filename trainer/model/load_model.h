// The weights of a stored model, read into a model.
#pragma once

#include "trainer/model/model.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {

// invalid_argument: its tensors are not those of `layout`.
Status load_weights(const StoredModel& stored,
                    const ParameterLayout& layout,
                    const Weights& weights);
// A model with those weights that reads texts: without gradients, its matrices in 16 bits where the
// file has them so, and fp32 in all else. invalid_argument also when the tokenizer has more tokens
// than it.
Result<Model> load_reader(const StoredModel& stored,
                          const Tokenizer& tokenizer,
                          int64_t sequence_len,
                          at::Device device);

}  // namespace llmctl
