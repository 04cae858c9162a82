// By what angle each pair of a head turns per position, and how models are stretched beyond the
// length they were trained at: linear (Chen et al., arXiv 2306.15595), dynamic NTK-aware (for the
// length given), YaRN (Peng et al., arXiv 2309.00071), LongRoPE (Ding et al., arXiv 2402.13753; for
// the length given) and Llama 3.1's rule, as Transformers computes them. Pure; in doubles.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/model_config.h"

namespace llmctl {

struct RotaryAngles {
  std::vector<double> per_position;  // radians, for pairs 0 … rotary_dim() / 2 - 1
  double amplitude = 1;              // of cosine and sine: the attention factor
};
std::vector<double> plain_angles(int64_t dim, double theta);  // theta^(-2i / dim)
// What LongRoPE's paper derives from the factor and the trained length.
double longrope_attention_factor(const RopeScaling& rope);
// `local`: of layers with a sliding window. Zeros when the model learns its positions.
RotaryAngles rotary_angles(const ModelConfig& config, bool local, int64_t sequence_len);

}  // namespace llmctl
