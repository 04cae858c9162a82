// GGML's K-quants (blocks.h): a super-block of 256 values, cut into sub-blocks with small
// integer scales of their own. The search is ours: per sub-block several first guesses of the
// scale, each refined by weighted least squares (values weigh by their size); then the
// super-block's scales; then, with these fixed, every sub-block takes the best integer scale near
// the ideal one.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/base/result.h"
#include "trainer/formats/gguf/blocks.h"
#include "trainer/formats/safetensors/half.h"

namespace llmctl {
namespace {

constexpr size_t kSuper = 256;

float stored_f16(float value, std::byte* out) {  // what a reader will see
  const uint16_t bits = to_f16(value);
  std::memcpy(out, &bits, sizeof bits);
  return from_f16(bits);
}

float inverse_of(float value) {
  return std::isnormal(value) ? 1 / value : 0;
}

// ---- q4_k: eight sub-blocks of 32, x ~ scale * q - offset with q in 0..15 and offset >= 0

constexpr size_t kFour = 32;
using FourWeights = std::array<float, kFour>;

struct Line {
  float scale = 0, offset = 0;
  double error = 0;  // weighted squares
};

float nearest4(float x, float inverse, float offset) {
  return std::clamp(std::nearbyint((x + offset) * inverse), 0.0F, 15.0F);
}

double error4(std::span<const float> x, const FourWeights& weights, float scale, float offset) {
  const float inverse = inverse_of(scale);
  float error = 0;
  for (size_t i = 0; i < kFour; ++i) {
    const float off = scale * nearest4(x[i], inverse, offset) - offset - x[i];
    error += weights[i] * off * off;
  }
  return error;
}

// The best line for the steps that `from` gives.
Line refined4(std::span<const float> x, const FourWeights& weights, const Line& from) {
  const float inverse = inverse_of(from.scale);
  float w = 0, wq = 0, wqq = 0, wx = 0, wqx = 0;
  for (size_t i = 0; i < kFour; ++i) {
    const float q = nearest4(x[i], inverse, from.offset);
    w += weights[i];
    wq += weights[i] * q;
    wqq += weights[i] * q * q;
    wx += weights[i] * x[i];
    wqx += weights[i] * q * x[i];
  }
  Line line = from;
  const float determinant = w * wqq - wq * wq;
  if (determinant > 0) {
    line.scale = (w * wqx - wq * wx) / determinant;
    line.offset = (wq * wqx - wqq * wx) / determinant;
  }
  if (line.offset < 0 || determinant <= 0) {
    line.offset = 0;
    line.scale = wqq > 0 ? wqx / wqq : 0;
  }
  line.scale = std::max(line.scale, 0.0F);
  line.error = error4(x, weights, line.scale, line.offset);
  return line;
}

Line best_line(std::span<const float> x, const FourWeights& weights) {
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  const float low = std::min(*least, 0.0F), range = *most - low;
  Line best = {0, -low, 0};
  best.error = error4(x, weights, best.scale, best.offset);
  if (!(range > 0)) return best;
  for (float steps = 13; steps <= 17; steps += 0.25F) {  // 15 reaches both ends exactly
    Line line = {range / steps, -low, 0};
    for (int round = 0; round < 3; ++round) {
      line = refined4(x, weights, line);
      if (line.error < best.error) best = line;
    }
  }
  return best;
}

struct FourScales {
  std::array<uint8_t, 8> scale{}, offset{};  // 6 bits each
};

// Eight pairs of 6 bits in 12 bytes: the low four pairs plainly, the upper ones in the gaps.
void put_scales(const FourScales& scales, std::byte* out) {
  for (size_t j = 0; j < 4; ++j) {
    out[j] = static_cast<std::byte>(scales.scale[j] | ((scales.scale[j + 4] >> 4) << 6));
    out[j + 4] = static_cast<std::byte>(scales.offset[j] | ((scales.offset[j + 4] >> 4) << 6));
    out[j + 8] =
        static_cast<std::byte>((scales.scale[j + 4] & 15) | ((scales.offset[j + 4] & 15) << 4));
  }
}

FourWeights weights4(std::span<const float> x) {
  float squares = 0;
  for (const float value : x) squares += value * value;
  const float typical = std::sqrt(squares / kFour);
  FourWeights weights{};
  for (size_t i = 0; i < kFour; ++i) weights[i] = typical + std::abs(x[i]);
  return weights;
}

// The 6-bit scale and offset of one sub-block: the best pair close to the ideal line.
void settle4(std::span<const float> x,
             const Line& ideal,
             float d,
             float dmin,
             uint8_t& scale,
             uint8_t& offset) {
  const FourWeights weights = weights4(x);
  const auto near = [](float value, float unit) {
    return static_cast<int>(std::clamp(std::nearbyint(value * inverse_of(unit)), 0.0F, 63.0F));
  };
  const int near_scale = near(ideal.scale, d), near_offset = near(ideal.offset, dmin);
  double best = -1;
  for (int s = std::max(near_scale - 2, 0); s <= std::min(near_scale + 2, 63); ++s) {
    for (int o = std::max(near_offset - 2, 0); o <= std::min(near_offset + 2, 63); ++o) {
      const double error =
          error4(x, weights, d * static_cast<float>(s), dmin * static_cast<float>(o));
      if (best >= 0 && error >= best) continue;
      best = error;
      scale = static_cast<uint8_t>(s);
      offset = static_cast<uint8_t>(o);
    }
  }
}

// ---- q6_k: sixteen sub-blocks of 16, x ~ scale * q with q in -32..31; squares weigh by x^2

constexpr size_t kSix = 16;

float nearest6(float x, float inverse) {
  return std::clamp(std::nearbyint(x * inverse), -32.0F, 31.0F);
}

double error6(std::span<const float> x, float scale) {
  const float inverse = inverse_of(scale);
  float error = 0;
  for (const float value : x) {
    const float off = scale * nearest6(value, inverse) - value;
    error += value * value * off * off;
  }
  return error;
}

float best_scale6(std::span<const float> x) {
  const float most = *std::max_element(x.begin(), x.end(),
                                       [](float a, float b) { return std::abs(a) < std::abs(b); });
  if (most == 0) return 0;
  float best = most / -32;
  double best_error = error6(x, best);
  for (float steps = -34; steps <= -30; steps += 0.25F) {
    float scale = most / steps;
    for (int round = 0; round < 2; ++round) {
      const float inverse = inverse_of(scale);
      float wqx = 0, wqq = 0;
      for (const float value : x) {
        const float q = nearest6(value, inverse), w = value * value;
        wqx += w * q * value;
        wqq += w * q * q;
      }
      if (wqq > 0) scale = wqx / wqq;
      const double error = error6(x, scale);
      if (error >= best_error) continue;
      best_error = error;
      best = scale;
    }
  }
  return best;
}

int8_t settle6(std::span<const float> x, float ideal, float d) {
  const int near =
      static_cast<int>(std::clamp(std::nearbyint(ideal * inverse_of(d)), -128.0F, 127.0F));
  int best = near;
  double best_error = error6(x, d * static_cast<float>(near));
  for (int s = std::max(near - 2, -128); s <= std::min(near + 2, 127); ++s) {
    const double error = error6(x, d * static_cast<float>(s));
    if (error >= best_error) continue;
    best_error = error;
    best = s;
  }
  return static_cast<int8_t>(best);
}

}  // namespace

void pack_q4_k(std::span<const float> values, std::byte* out) {
  CHECK(values.size() == kSuper);
  std::array<Line, 8> lines;
  float most_scale = 0, most_offset = 0;
  for (size_t j = 0; j < lines.size(); ++j) {
    const auto x = values.subspan(j * kFour, kFour);
    lines[j] = best_line(x, weights4(x));
    most_scale = std::max(most_scale, lines[j].scale);
    most_offset = std::max(most_offset, lines[j].offset);
  }
  const float d = stored_f16(most_scale / 63, out);
  const float dmin = stored_f16(most_offset / 63, out + 2);
  FourScales scales;
  std::array<float, kSuper> steps{};
  for (size_t j = 0; j < lines.size(); ++j) {
    const auto x = values.subspan(j * kFour, kFour);
    settle4(x, lines[j], d, dmin, scales.scale[j], scales.offset[j]);
    const float inverse = inverse_of(d * scales.scale[j]), offset = dmin * scales.offset[j];
    for (size_t i = 0; i < kFour; ++i) steps[j * kFour + i] = nearest4(x[i], inverse, offset);
  }
  put_scales(scales, out + 4);
  for (size_t i = 0; i < kSuper / 2; ++i) {  // a byte holds one value of two neighbours
    const size_t low = i / kFour * 2 * kFour + i % kFour;
    out[16 + i] = static_cast<std::byte>(static_cast<unsigned>(steps[low]) |
                                         (static_cast<unsigned>(steps[low + kFour]) << 4));
  }
}

void pack_q6_k(std::span<const float> values, std::byte* out) {
  CHECK(values.size() == kSuper);
  constexpr size_t kHigh = 128, kScales = 192, kD = 208;
  std::array<float, kSuper / kSix> ideal{};
  for (size_t j = 0; j < ideal.size(); ++j) ideal[j] = best_scale6(values.subspan(j * kSix, kSix));
  const float most = *std::max_element(ideal.begin(), ideal.end(),
                                       [](float a, float b) { return std::abs(a) < std::abs(b); });
  const float d = stored_f16(most / -128, out + kD);
  std::array<unsigned, kSuper> steps{};  // q + 32
  for (size_t j = 0; j < ideal.size(); ++j) {
    const auto x = values.subspan(j * kSix, kSix);
    const int8_t scale = settle6(x, ideal[j], d);
    out[kScales + j] = static_cast<std::byte>(scale);
    const float inverse = inverse_of(d * static_cast<float>(scale));
    for (size_t i = 0; i < kSix; ++i) {
      steps[j * kSix + i] = static_cast<unsigned>(nearest6(x[i], inverse) + 32);
    }
  }
  for (size_t half = 0; half < 2; ++half) {  // four runs of 32 share 64 nibble bytes and 32 others
    const unsigned* q = steps.data() + half * 128;
    for (size_t i = 0; i < 32; ++i) {
      std::byte* low = out + half * 64 + i;
      low[0] = static_cast<std::byte>((q[i] & 15) | ((q[i + 64] & 15) << 4));
      low[32] = static_cast<std::byte>((q[i + 32] & 15) | ((q[i + 96] & 15) << 4));
      out[kHigh + half * 32 + i] =
          static_cast<std::byte>((q[i] >> 4) | ((q[i + 32] >> 4) << 2) | ((q[i + 64] >> 4) << 4) |
                                 ((q[i + 96] >> 4) << 6));
    }
  }
}

}  // namespace llmctl
