// The block-wise 8-bit numbers of bitsandbytes' optimizers (Dettmers et al., arXiv 2110.02861): a
// code per element and, per block of kQuantizedBlock elements, the largest magnitude. A code is an
// index into a fixed map of 256 values in [-1, 1] (or [0, 1]), dense around zero: exponents of ten
// with 0 to 6 bits of linear fraction. A second moment that is not zero never becomes zero (code 0
// of the unsigned map): dividing by it would throw weights away.
#pragma once

#include <array>
#include <cstdint>

namespace llmctl {

struct QuantizationMap {
  std::array<float, 256> values;   // ascending
  std::array<float, 255> middles;  // a number above middles[i] is nearer to values[i + 1]
};
const QuantizationMap& signed_dynamic_map();
const QuantizationMap& unsigned_dynamic_map();

// The nearest value's index; of two equally near ones the lower.
[[gnu::always_inline]] inline uint8_t nearest_code(const QuantizationMap& map, float x) {
  uint32_t code = 0;
  for (uint32_t step = 128; step > 0; step /= 2) {
    code += x > map.middles[code + step - 1] ? step : 0;
  }
  return static_cast<uint8_t>(code);
}

}  // namespace llmctl
