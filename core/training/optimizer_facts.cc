#include "core/training/optimizer_facts.h"

#include <algorithm>

#include "core/training/offload.h"

namespace llmctl {

const std::vector<OptimizerFacts>& optimizers() {
  static const std::vector<OptimizerFacts> kAll = {
      {"adamw", "-"},
      {"adamw_bf16", "wants adam_beta2 at most 0.99"},
      {"adamw_8bit", "slower update, slightly noisy"},
      {"adafactor", "no momentum: more steps to a loss"},
      {"lion", "wants 1/3 to 1/10 the learning_rate"},
      {"muon", "fewer steps; matrix products in each update"},
  };
  return kAll;
}

const char* optimizer_names() {
  return "adamw adamw_bf16 adamw_8bit adafactor lion muon";
}

static std::vector<ParameterShape> vectors(const ModelConfig& c) {
  const int64_t layers = c.num_hidden_layers, sides = c.norm == "layer" ? 2 : 1;
  const int64_t heads = c.num_attention_heads, key_value_heads = c.num_key_value_heads;
  std::vector<ParameterShape> all = {
      {1, c.hidden_size, sides * ((c.post_norms ? 4 : 2) * layers + 1)}};
  if (c.qk_norm) all.push_back({1, c.head_dim, 2 * layers});
  if (c.qkv_bias) {
    all.push_back({1, heads * c.head_dim, layers});
    all.push_back({1, key_value_heads * c.head_dim, 2 * layers});
  }
  if (c.out_bias) all.push_back({1, c.hidden_size, layers});
  if (c.mlp_bias) {
    all.push_back({1, c.intermediate_size, (c.gated_mlp ? 2 : 1) * layers});
    all.push_back({1, c.hidden_size, layers});
  }
  return all;
}

std::vector<ParameterShape> parameter_shapes(const ModelConfig& c) {
  const int64_t query = c.num_attention_heads * c.head_dim;
  const int64_t key_value = c.num_key_value_heads * c.head_dim;
  const int64_t layers = c.num_hidden_layers;
  std::vector<ParameterShape> all = {
      {c.vocab_size, c.hidden_size, c.tie_word_embeddings ? 1 : 2, /*table=*/true},
      {query, c.hidden_size, layers},
      {key_value, c.hidden_size, 2 * layers},
      {c.hidden_size, query, layers},
      {c.intermediate_size, c.hidden_size, (c.gated_mlp ? 2 : 1) * layers},
      {c.hidden_size, c.intermediate_size, layers},
  };
  if (c.learned_positions) {
    all.push_back({c.max_position_embeddings, c.hidden_size, 1, /*table=*/true});
  }
  for (const ParameterShape& shape : vectors(c)) all.push_back(shape);
  return all;
}

double vector_elements(const ModelConfig& config) {
  double elements = 0;
  for (const ParameterShape& shape : vectors(config)) {
    elements += static_cast<double>(shape.columns) * static_cast<double>(shape.count);
  }
  return elements;
}

// Sizes are summed as doubles: hostile shapes must not overflow.
struct Sum {
  double state = 0, workspace = 0, largest_piece = 0;
};
static constexpr double kFloatBytes = 4;  // bytes

static double quantized_state(double elements) {
  if (elements < static_cast<double>(kLeastQuantizedElements)) return 2 * kFloatBytes * elements;
  const auto block = static_cast<double>(kQuantizedBlock);
  const double blocks = static_cast<double>(static_cast<int64_t>((elements + block - 1) / block));
  return 2 * (elements + kFloatBytes * blocks);
}

static void add(Sum& sum, std::string_view optimizer, const ParameterShape& shape) {
  const auto rows = static_cast<double>(shape.rows), columns = static_cast<double>(shape.columns);
  const auto count = static_cast<double>(shape.count);
  const double elements = rows * columns;
  const bool matrix = shape.rows > 1;
  const auto work = [&](double floats) {
    sum.workspace = std::max(sum.workspace, kFloatBytes * floats);
  };
  double state = 2 * kFloatBytes * elements;  // adamw, and what muon leaves to it
  bool whole = optimizer == "adafactor";
  if (optimizer == "adamw_bf16" || optimizer == "lion") state = kFloatBytes * elements;
  if (optimizer == "adamw_8bit") state = quantized_state(elements);
  if (optimizer == "adafactor") {
    state = kFloatBytes * (matrix ? rows + columns : elements);
    work(elements + rows + columns);
  }
  if (optimizer == "muon" && matrix && !shape.table) {
    const double side = std::min(rows, columns);
    state = kFloatBytes * elements;
    whole = true;
    work(elements + 2 * side * side);
  }
  sum.state += count * state;
  // Flat buffers are cut without regard to where a parameter ends.
  const bool flat = optimizer == "adamw" || optimizer == "adamw_bf16" || optimizer == "lion";
  const double pieces = static_cast<double>(kOffloadPiece) / elements;  // its share of this one
  const double piece = whole ? state : state * (flat ? pieces : std::min(1.0, pieces));
  sum.largest_piece = std::max(sum.largest_piece, piece);
}

OptimizerMemory optimizer_memory(std::string_view optimizer,
                                 const ModelConfig& config,
                                 bool averaged) {
  constexpr double kMost = 1e18;
  Sum sum;
  for (const ParameterShape& shape : parameter_shapes(config)) add(sum, optimizer, shape);
  if (averaged) {
    sum.state += kFloatBytes * static_cast<double>(parameter_count(config));
    sum.largest_piece = std::max(sum.largest_piece, kFloatBytes * kOffloadPiece);
  }
  const double staged = std::min(sum.state, kOffloadStages * sum.largest_piece);
  return {static_cast<Bytes>(std::min(sum.state, kMost)),
          static_cast<Bytes>(std::min(sum.workspace, kMost)),
          static_cast<Bytes>(std::min(staged, kMost))};
}

}  // namespace llmctl
