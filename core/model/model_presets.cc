// The models that can be asked for by name (model_config.h).
#include "core/model/model_config.h"

namespace llmctl {

static ModelConfig shape(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads) {
  ModelConfig config;
  config.num_hidden_layers = layers;
  config.hidden_size = hidden;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  return config;
}

static ModelConfig gpt2(int64_t layers, int64_t hidden, int64_t heads) {
  ModelConfig config = shape(layers, hidden, heads, heads);
  set_family(config, "gpt2");
  config.max_position_embeddings = 1'024;
  return config;
}

static ModelConfig llama_730m() {
  ModelConfig config = shape(12, 1536, 24, 6);
  config.intermediate_size = 8192;
  return config;
}

// Of the published Llama 3.2 models, which see 128k tokens by their rotary scaling.
static ModelConfig llama_3_2(int64_t layers, int64_t hidden, int64_t heads) {
  ModelConfig config = shape(layers, hidden, heads, 8);
  config.intermediate_size = 8192;
  config.rope_theta = 500'000.0;
  return config;
}

static ModelConfig qwen3_600m() {
  ModelConfig config = shape(28, 1024, 16, 8);
  set_family(config, "qwen3");
  config.head_dim = 128;
  config.intermediate_size = 3072;
  config.rope_theta = 1e6;
  config.rms_norm_eps = 1e-6;
  return config;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"llama-1m", "4 layers of 128; about 1M parameters with a 2k vocabulary",
       shape(4, 128, 4, 2)},
      {"llama-5m", "6 layers of 256; about 5M parameters with a 4k vocabulary",
       shape(6, 256, 8, 4)},
      {"llama-20m", "6 layers of 512; about 22M parameters with an 8k vocabulary",
       shape(6, 512, 8, 4)},
      {"llama-512x8", "8 layers of 512, 8 heads; 42M parameters with a 32k vocabulary",
       shape(8, 512, 8, 8)},
      {"llama-512x8-gqa", "the same with 2 key/value heads; 39M", shape(8, 512, 8, 2)},
      {"llama-110m", "12 layers of 768; about 110M parameters with a 32k vocabulary",
       shape(12, 768, 12, 12)},
      {"llama-768x12", "another name of llama-110m", shape(12, 768, 12, 12)},
      {"llama-768x12-gqa", "the same with 3 key/value heads; 99M", shape(12, 768, 12, 3)},
      {"gpt2", "GPT-2 of 12 layers of 768; 124M parameters with its own 50k vocabulary",
       gpt2(12, 768, 12)},
      {"llama-1024x16", "16 layers of 1024, 16 heads; 239M parameters with a 32k vocabulary",
       shape(16, 1024, 16, 16)},
      {"llama-1024x16-gqa", "the same with 4 key/value heads; 214M", shape(16, 1024, 16, 4)},
      {"llama-350m", "24 layers of 1024; about 320M parameters with a 32k vocabulary",
       shape(24, 1024, 16, 8)},
      {"gpt2-medium", "GPT-2 of 24 layers of 1024; 355M parameters with its own 50k vocabulary",
       gpt2(24, 1024, 16)},
      {"llama-1280x20", "20 layers of 1280, 20 heads; 437M parameters with a 32k vocabulary",
       shape(20, 1280, 20, 20)},
      {"llama-1280x20-gqa", "the same with 5 key/value heads; 388M", shape(20, 1280, 20, 5)},
      {"qwen3-0.6b", "Qwen3 of 28 layers of 1024; 596M parameters with its own 152k vocabulary",
       qwen3_600m()},
      {"llama-730m", "12 layers of 1536, 24 query and 6 key/value heads; 730M", llama_730m()},
      {"llama-1b", "16 layers of 2048; about 1.2B parameters with a 128k vocabulary",
       llama_3_2(16, 2048, 32)},
      {"llama-3b", "28 layers of 3072; about 3.2B parameters with a 128k vocabulary",
       llama_3_2(28, 3072, 24)},
  };
  return all;
}

}  // namespace llmctl
