// A model small enough for double precision autograd, and batches for it. Its heads have 16
// numbers, as the CPU's attention wants them; with kOddHead LibTorch's is used.
#pragma once

#include "trainer/model/model.h"

namespace llmctl {

inline constexpr int64_t kSampleLength = 24;
inline constexpr int64_t kOddHead = 12;
inline constexpr auto kNone = Checkpointing::none, kSelective = Checkpointing::selective,
                      kBlock = Checkpointing::block;  // for tables of cases

inline ModelConfig sample_config() {
  ModelConfig config;
  config.vocab_size = 77;
  config.hidden_size = 64;
  config.intermediate_size = 80;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  return resolved(config, 0, kSampleLength);
}

inline MicroBatch sample_batch(int64_t sequences, uint64_t seed) {
  const at::Tensor ids = at::arange(sequences * kSampleLength, at::kLong)
                             .add_(static_cast<int64_t>(seed))
                             .mul_(2'654'435'761)
                             .remainder_(1'000'003)
                             .remainder_(77);
  return {ids.to(at::kInt), ids.mul(31).add_(7).remainder_(77).to(at::kInt)};
}

}  // namespace llmctl
