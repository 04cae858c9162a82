#include "trainer/layout/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace llmctl {
namespace {

double trained_length(const ModelConfig& config) {
  const int64_t original = config.rope.original_positions;
  return static_cast<double>(original > 0 ? original : config.max_position_embeddings);
}

// The base grows so that the slowest pair is stretched by the factor, and the fastest not at all.
double dynamic_theta(const ModelConfig& config, int64_t sequence_len) {
  const auto most = static_cast<double>(config.max_position_embeddings);
  const double length = std::max(most, static_cast<double>(sequence_len));
  const auto dim = static_cast<double>(config.rotary_dim());
  const double growth = config.rope.factor * length / most - (config.rope.factor - 1);
  return config.rope_theta * std::pow(growth, dim / (dim - 2));
}

// Pairs that turn often over the trained length stay, slow ones are slowed by the factor, and
// between the two the angles are mixed.
void stretch_llama3(std::vector<double>& angles, const ModelConfig& config) {
  const RopeScaling& rope = config.rope;
  for (double& angle : angles) {
    const double turns = trained_length(config) * angle / (2 * std::numbers::pi);
    const double kept = std::clamp(
        (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor), 0.0, 1.0);
    angle = (1 - kept) * angle / rope.factor + kept * angle;
  }
}

void stretch_yarn(std::vector<double>& angles, const ModelConfig& config) {
  const RopeScaling& rope = config.rope;
  const auto dim = static_cast<double>(config.rotary_dim());
  // The pair that turns so often over the trained length.
  const auto pair_of = [&](double turns) {
    return dim * std::log(trained_length(config) / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  double low = pair_of(rope.beta_fast), high = pair_of(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (high == low) high += 0.001;
  for (size_t i = 0; i < angles.size(); ++i) {
    const double slowed = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    angles[i] = slowed * angles[i] / rope.factor + (1 - slowed) * angles[i];
  }
}

void stretch_longrope(std::vector<double>& angles, const ModelConfig& config, int64_t length) {
  const bool longer = static_cast<double>(length) > trained_length(config);
  const auto& factors = longer ? config.rope.long_factor : config.rope.short_factor;
  for (size_t i = 0; i < angles.size(); ++i) angles[i] /= factors[i];
}

double given_or(double derived, const RopeScaling& rope) {
  return rope.attention_factor > 0 ? rope.attention_factor : derived;
}

double yarn_attention_factor(const RopeScaling& rope) {
  return rope.factor <= 1 ? 1 : 0.1 * std::log(rope.factor) + 1;
}

}  // namespace

double longrope_attention_factor(const RopeScaling& rope) {
  if (rope.factor <= 1) return 1;
  return std::sqrt(1 +
                   std::log(rope.factor) / std::log(static_cast<double>(rope.original_positions)));
}

std::vector<double> plain_angles(int64_t dim, double theta) {
  std::vector<double> angles;
  for (int64_t i = 0; i < dim / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(dim);
    angles.push_back(std::pow(theta, exponent));
  }
  return angles;
}

RotaryAngles rotary_angles(const ModelConfig& config, bool local, int64_t sequence_len) {
  if (config.learned_positions) {
    return {std::vector<double>(static_cast<size_t>(config.rotary_dim() / 2), 0.0)};
  }
  if (local && config.rope_local_theta > 0) {
    return {plain_angles(config.rotary_dim(), config.rope_local_theta)};
  }
  const RopeScaling& rope = config.rope;
  const double theta =
      rope.type == "dynamic" ? dynamic_theta(config, sequence_len) : config.rope_theta;
  RotaryAngles angles = {plain_angles(config.rotary_dim(), theta)};
  if (rope.type == "linear") {
    for (double& angle : angles.per_position) angle /= rope.factor;
  } else if (rope.type == "llama3") {
    stretch_llama3(angles.per_position, config);
  } else if (rope.type == "yarn") {
    stretch_yarn(angles.per_position, config);
    angles.amplitude = given_or(yarn_attention_factor(rope), rope);
  } else if (rope.type == "longrope") {
    stretch_longrope(angles.per_position, config, sequence_len);
    angles.amplitude = given_or(longrope_attention_factor(rope), rope);
  }
  return angles;
}

}  // namespace llmctl
