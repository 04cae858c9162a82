#include "trainer/ops/operands/rotary_table.h"

#include <cmath>

#include "trainer/layout/rope_scaling.h"

namespace llmctl {

static RotaryTable table_of(int64_t positions, const RotaryAngles& angles, at::Device device) {
  const auto half = static_cast<int64_t>(angles.per_position.size());
  RotaryTable table = {at::empty({positions, half}, at::kFloat),
                       at::empty({positions, half}, at::kFloat)};
  auto *cosine = table.cosine.mutable_data_ptr<float>(),
       *sine = table.sine.mutable_data_ptr<float>();
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * angles.per_position[static_cast<size_t>(i)];
      cosine[p * half + i] = static_cast<float>(angles.amplitude * std::cos(angle));
      sine[p * half + i] = static_cast<float>(angles.amplitude * std::sin(angle));
    }
  }
  return {table.cosine.to(device), table.sine.to(device)};
}

RotaryTable rotary_table(int64_t positions, int64_t head_dim, double theta, at::Device device) {
  return table_of(positions, {plain_angles(head_dim, theta)}, device);
}

RotaryTable rotary_table(int64_t positions,
                         const ModelConfig& config,
                         bool local,
                         at::Device device) {
  return table_of(positions, rotary_angles(config, local, positions), device);
}

}  // namespace llmctl
