#include "trainer/optim/updates/updates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "core/training/optimizer_facts.h"
#include "trainer/ops/cpu/simd.h"
#include "trainer/optim/updates/quantize_blockwise.h"

namespace llmctl::cpu {
namespace {

constexpr int64_t kGrain = 1 << 16;  // elements of one thread's turn

// [0, elements) in ranges, each by one thread and on one side of `decay_end`.
void for_ranges(int64_t elements,
                int64_t decay_end,
                const std::function<void(int64_t begin, int64_t size, bool decays)>& range) {
  at::parallel_for(0, elements, kGrain, [&](int64_t begin, int64_t end) {
    const int64_t middle = std::clamp(decay_end, begin, end);
    if (middle > begin) range(begin, middle - begin, true);
    if (end > middle) range(middle, end - middle, false);
  });
}

// ---- AdamW

[[gnu::always_inline]] inline float widen(float value) {
  return value;
}
[[gnu::always_inline]] inline float widen(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

[[gnu::always_inline]] inline void put(float value, float& out) {
  out = value;
}
// To nearest, ties to even. Gradients that are not finite never come here.
[[gnu::always_inline]] inline void put(float value, uint16_t& out) {
  const auto bits = std::bit_cast<uint32_t>(value);
  out = static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

template <class Number>
[[gnu::always_inline]] inline void update_elements(
    float* w, float* g, Number* m, Number* v, int64_t n, AdamWFactors f) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * f.clip;
    const float first = f.beta1 * widen(m[i]) + (1.0f - f.beta1) * grad;
    const float second = f.beta2 * widen(v[i]) + (1.0f - f.beta2) * grad * grad;
    const float deviation = __builtin_sqrtf(second) * f.inverse_root_correction2 + f.epsilon;
    w[i] = w[i] * f.keep - f.step_size * (first / deviation);
    put(first, m[i]);
    put(second, v[i]);
    g[i] = 0;
  }
}

SIMD_CLONES void adamw_range(float* w, float* g, float* m, float* v, int64_t n, AdamWFactors f) {
  update_elements(w, g, m, v, n, f);
}
SIMD_CLONES void adamw_range(
    float* w, float* g, uint16_t* m, uint16_t* v, int64_t n, AdamWFactors f) {
  update_elements(w, g, m, v, n, f);
}

template <class Number>
void adamw_with(const at::Tensor& weights,
                const at::Tensor& gradients,
                const Moments& moments,
                const AdamWFactorsByDecay& f) {
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>();
  auto* m = static_cast<Number*>(moments.first.mutable_data_ptr());
  auto* v = static_cast<Number*>(moments.second.mutable_data_ptr());
  for_ranges(weights.numel(), f.decay_end, [&](int64_t begin, int64_t size, bool decays) {
    adamw_range(w + begin, g + begin, m + begin, v + begin, size, decays ? f.decayed : f.plain);
  });
}

// ---- AdamW with moments in 8-bit blocks

struct CodeBlock {
  float *weights, *gradients;
  uint8_t *first, *second;
  float *first_largest, *second_largest;
  int64_t elements;  // up to kQuantizedBlock
};

float largest_magnitude(const float* x, int64_t n) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(x[i]));
  return most;
}

void quantize(const float* x, uint8_t* codes, float& largest, int64_t n) {
  largest = largest_magnitude(x, n);
  const float scale = largest > 0 ? 1 / largest : 0;
  for (int64_t i = 0; i < n; ++i) codes[i] = nearest_code(signed_dynamic_map(), x[i] * scale);
}

void quantize_positive(const float* x, uint8_t* codes, float& largest, int64_t n) {
  largest = largest_magnitude(x, n);
  const float scale = largest > 0 ? 1 / largest : 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t code = nearest_code(unsigned_dynamic_map(), x[i] * scale);
    codes[i] = code == 0 && x[i] > 0 ? uint8_t{1} : code;
  }
}

SIMD_CLONES void update_block(const CodeBlock& b, AdamWFactors f) {
  const QuantizationMap &signed_map = signed_dynamic_map(), &unsigned_map = unsigned_dynamic_map();
  float first[kQuantizedBlock], second[kQuantizedBlock];
  const float first_largest = *b.first_largest, second_largest = *b.second_largest;
  for (int64_t i = 0; i < b.elements; ++i) {
    first[i] = signed_map.values[b.first[i]] * first_largest;
    second[i] = unsigned_map.values[b.second[i]] * second_largest;
  }
  for (int64_t i = 0; i < b.elements; ++i) {
    const float grad = b.gradients[i] * f.clip;
    first[i] = f.beta1 * first[i] + (1.0f - f.beta1) * grad;
    second[i] = f.beta2 * second[i] + (1.0f - f.beta2) * grad * grad;
    const float deviation = __builtin_sqrtf(second[i]) * f.inverse_root_correction2 + f.epsilon;
    b.weights[i] = b.weights[i] * f.keep - f.step_size * (first[i] / deviation);
    b.gradients[i] = 0;
  }
  quantize(first, b.first, *b.first_largest, b.elements);
  quantize_positive(second, b.second, *b.second_largest, b.elements);
}

// ---- Lion

SIMD_CLONES void lion_range(float* w, float* g, float* m, int64_t n, LionFactors f) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * f.clip;
    const float direction = f.beta1 * m[i] + (1.0f - f.beta1) * grad;
    const float sign = direction > 0 ? 1.0f : direction < 0 ? -1.0f : 0.0f;
    w[i] = w[i] * f.keep - f.step_size * sign;
    m[i] = f.beta2 * m[i] + (1.0f - f.beta2) * grad;
    g[i] = 0;
  }
}

// ---- Sums of squares

constexpr int64_t kSummed = 1 << 16;  // elements summed in one go; fixed, so sums are too

SIMD_CLONES double sum_of_squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

// ---- Stochastic rounding

// A 32-bit integer hash by multiplications and shifts (C. Wellons, "Prospecting for Hash
// Functions", 2018): vectorizes, and each input bit reaches every output bit.
[[gnu::always_inline]] inline uint32_t mixed(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7FEB352DU;
  x = (x ^ (x >> 15)) * 0x846CA68BU;
  return x ^ (x >> 16);
}

SIMD_CLONES void round_range(
    const float* values, uint16_t* out, int64_t n, uint64_t key, uint32_t first) {
  const auto low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<uint32_t>(values[i]);
    const uint32_t random = mixed(mixed((first + static_cast<uint32_t>(i)) ^ low) ^ high) >> 16;
    const bool finite = (bits & 0x7F80'0000U) != 0x7F80'0000U;
    out[i] = static_cast<uint16_t>((bits + (finite ? random : 0)) >> 16);
  }
}

void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           const AdamWFactorsByDecay& factors) {
  if (moments.first.scalar_type() == at::kBFloat16) {
    return adamw_with<uint16_t>(weights, gradients, moments, factors);
  }
  adamw_with<float>(weights, gradients, moments, factors);
}

void adamw_8bit(const at::Tensor& weights,
                const at::Tensor& gradients,
                const QuantizedMoment& first,
                const QuantizedMoment& second,
                const AdamWFactors& factors) {
  const int64_t elements = weights.numel();
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>(),
       *first_largest = first.largest.mutable_data_ptr<float>(),
       *second_largest = second.largest.mutable_data_ptr<float>();
  auto *first_codes = first.codes.mutable_data_ptr<uint8_t>(),
       *second_codes = second.codes.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, quantized_blocks(elements), 64, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t at = block * kQuantizedBlock;
      update_block({w + at, g + at, first_codes + at, second_codes + at, first_largest + block,
                    second_largest + block, std::min(kQuantizedBlock, elements - at)},
                   factors);
    }
  });
}

void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          const LionFactorsByDecay& f) {
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>(),
       *m = moment.mutable_data_ptr<float>();
  for_ranges(weights.numel(), f.decay_end, [&](int64_t begin, int64_t size, bool decays) {
    lion_range(w + begin, g + begin, m + begin, size, decays ? f.decayed : f.plain);
  });
}

void round_stochastically(const at::Tensor& values, at::Tensor& out, uint64_t key, int64_t first) {
  const auto* from = values.const_data_ptr<float>();
  auto* to = static_cast<uint16_t*>(out.mutable_data_ptr());
  at::parallel_for(0, values.numel(), kGrain, [&](int64_t begin, int64_t end) {
    round_range(from + begin, to + begin, end - begin, key, static_cast<uint32_t>(first + begin));
  });
}

std::vector<double> sums_of_squares(const at::Tensor& flat, const std::vector<FlatSpan>& spans) {
  struct Part {
    FlatSpan where;
    size_t span;
  };
  std::vector<Part> parts;
  for (size_t i = 0; i < spans.size(); ++i) {
    for (int64_t done = 0; done < spans[i].elements; done += kSummed) {
      const int64_t elements = std::min(kSummed, spans[i].elements - done);
      parts.push_back({{spans[i].offset + done, elements}, i});
    }
  }
  const auto* data = flat.const_data_ptr<float>();
  std::vector<double> of_part(parts.size()), of_span(spans.size());
  at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      of_part[i] = sum_of_squares(data + parts[i].where.offset, parts[i].where.elements);
    }
  });
  for (size_t i = 0; i < parts.size(); ++i) of_span[parts[i].span] += of_part[i];
  return of_span;
}

}  // namespace

const Updates& updates() {
  static constexpr Updates kTable = {adamw, adamw_8bit, lion, round_stochastically,
                                     sums_of_squares};
  return kTable;
}

}  // namespace llmctl::cpu
