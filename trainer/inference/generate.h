// Text from a model, token by token, with a key/value cache per block. When the context is full it
// goes on from its newer half. Deterministic for a seed.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "trainer/model/model.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct GenerateOptions {
  std::string prompt;
  int64_t max_tokens = 128;
  double temperature = 0.8;  // 0: always the most likely token
  double top_p = 0.95;       // the smallest set of tokens with this probability; 1: all
  int64_t seed = 42;
  std::vector<int32_t> ends{};  // each ends the text; none: the tokenizer's end-of-text token
};

// `emit` gets the text as it becomes certain, without the prompt. Ends at a token that ends texts.
// The prompt begins as every text of the tokenizer does.
Status generate(const Model& model,
                const Tokenizer& tokenizer,
                const GenerateOptions& options,
                const std::function<void(std::string_view)>& emit);

// The decoder over a growing context; rows of logits equal those of a full forward pass.
class Decoder {
 public:
  explicit Decoder(const Model& model);
  // Appends ids; the logits [V] that follow the last one. Requires: ids not empty and room for
  // them.
  at::Tensor feed(std::span<const int32_t> ids);
  int64_t room() const;
  void clear() { length_ = 0; }

 private:
  struct Cache {
    at::Tensor keys, values;  // [kv_heads, context, D]
  };
  at::Tensor run_block(size_t index, const at::Tensor& x, Cache& cache) const;

  const Model& model_;
  std::vector<Cache> caches_;
  int64_t length_ = 0;
};

}  // namespace llmctl
