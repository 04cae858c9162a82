#include "trainer/optim/updates/quantize_blockwise.h"

#include <algorithm>
#include <cmath>

namespace llmctl {
namespace {

constexpr int kExponents = 7;  // 10^-6 … 10^0

QuantizationMap dynamic_map(bool is_signed) {
  QuantizationMap map{};
  auto next = map.values.begin();
  for (int exponent = 0; exponent < kExponents; ++exponent) {
    const int count = is_signed ? 1 << exponent : 2 << exponent;
    const double scale = std::pow(10.0, exponent - (kExponents - 1));
    for (int i = 0; i < count; ++i) {  // the middles of equal parts of [0.1, 1]
      const auto value = static_cast<float>(scale * (0.1 + 0.9 * (i + 0.5) / count));
      *next++ = value;
      if (is_signed) *next++ = -value;
    }
  }
  *next++ = 0;
  *next++ = 1;
  std::sort(map.values.begin(), map.values.end());
  for (size_t i = 0; i < map.middles.size(); ++i) {
    map.middles[i] = (map.values[i] + map.values[i + 1]) / 2;
  }
  return map;
}

}  // namespace

const QuantizationMap& signed_dynamic_map() {
  static const QuantizationMap kMap = dynamic_map(true);
  return kMap;
}

const QuantizationMap& unsigned_dynamic_map() {
  static const QuantizationMap kMap = dynamic_map(false);
  return kMap;
}

}  // namespace llmctl
