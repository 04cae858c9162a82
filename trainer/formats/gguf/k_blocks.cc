// GGML's K-quants (blocks.h): a super-block of 256 values, cut into sub-blocks with small
// integer scales of their own. The search is ours: per sub-block several first guesses of the
// scale, each refined by weighted least squares (values weigh by their size); then the
// super-block's scales; then, with these fixed, every sub-block takes the best integer scale near
// the ideal one. One pass over the values tells both how far a guess is off and which one to try
// next. Sums have kLanes parts, whatever the processor, so that it may add them at once and a file
// has the same bytes everywhere.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/base/result.h"
#include "trainer/formats/gguf/blocks.h"
#include "trainer/formats/safetensors/half.h"

#if defined(__x86_64__) && !defined(__clang__)
#define LLMCTL_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define LLMCTL_CLONES
#endif

namespace llmctl {
namespace {

constexpr size_t kSuper = 256;
constexpr size_t kLanes = 8;
using Lanes = std::array<float, kLanes>;

float stored_f16(float value, std::byte* out) {  // what a reader will see
  const uint16_t bits = to_f16(value);
  std::memcpy(out, &bits, sizeof bits);
  return from_f16(bits);
}

float inverse_of(float value) {
  return std::isnormal(value) ? 1 / value : 0;
}

float sum_of(const Lanes& lanes) {
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// To the nearest whole number, ties to the even one, for magnitudes below 2^22.
inline float rounded(float x) {
  constexpr float kShift = 0x1.8p23F;
  return (x + kShift) - kShift;
}

// ---- q4_k: eight sub-blocks of 32, x ~ scale * q - offset with q in 0..15 and offset >= 0

constexpr size_t kFour = 32;
using FourWeights = std::array<float, kFour>;

struct Line {
  float scale = 0, offset = 0;
};

inline float nearest4(float x, float inverse, float offset) {
  return rounded(std::min(std::max((x + offset) * inverse, 0.0F), 15.0F));
}

// Of the steps that a line gives: its error in weighted squares, and what the best line for these
// steps is made of.
struct Fit4 {
  float error = 0, wq = 0, wqq = 0, wqx = 0;
};
LLMCTL_CLONES Fit4 fit4(const float* x, const float* weights, Line line) {
  const float inverse = inverse_of(line.scale);
  Lanes error{}, wq{}, wqq{}, wqx{};
  for (size_t i = 0; i < kFour; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = x[i + lane], weight = weights[i + lane];
      const float q = nearest4(value, inverse, line.offset);
      const float off = line.scale * q - line.offset - value;
      error[lane] += weight * off * off;
      wq[lane] += weight * q;
      wqq[lane] += weight * q * q;
      wqx[lane] += weight * q * value;
    }
  }
  return {sum_of(error), sum_of(wq), sum_of(wqq), sum_of(wqx)};
}

LLMCTL_CLONES float error4(const float* x, const float* weights, Line line) {
  const float inverse = inverse_of(line.scale);
  Lanes error{};
  for (size_t i = 0; i < kFour; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = x[i + lane];
      const float q = nearest4(value, inverse, line.offset);
      const float off = line.scale * q - line.offset - value;
      error[lane] += weights[i + lane] * off * off;
    }
  }
  return sum_of(error);
}

// The sub-block's weights, and their sums that no line changes.
struct Weighed4 {
  FourWeights weights{};
  float w = 0, wx = 0;
};
Weighed4 weighed4(std::span<const float> x) {
  float squares = 0;
  for (const float value : x) squares += value * value;
  const float typical = std::sqrt(squares / kFour);
  Weighed4 all;
  for (size_t i = 0; i < kFour; ++i) {
    all.weights[i] = typical + std::abs(x[i]);
    all.w += all.weights[i];
    all.wx += all.weights[i] * x[i];
  }
  return all;
}

Line refined4(const Weighed4& all, const Fit4& fit, Line line) {
  const float determinant = all.w * fit.wqq - fit.wq * fit.wq;
  if (determinant > 0) {
    line.scale = (all.w * fit.wqx - fit.wq * all.wx) / determinant;
    line.offset = (fit.wq * fit.wqx - fit.wqq * all.wx) / determinant;
  }
  if (line.offset < 0 || determinant <= 0) {
    line.offset = 0;
    line.scale = fit.wqq > 0 ? fit.wqx / fit.wqq : 0;
  }
  line.scale = std::max(line.scale, 0.0F);
  return line;
}

Line best_line(std::span<const float> x, const Weighed4& all) {
  constexpr int kRounds = 3;
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  const float low = std::min(*least, 0.0F), range = *most - low;
  Line best = {0, -low};
  float best_error = error4(x.data(), all.weights.data(), best);
  if (!(range > 0)) return best;
  for (float steps = 13; steps <= 17; steps += 0.5F) {  // 15 reaches both ends exactly
    Line line = {range / steps, -low};
    for (int round = 0; round < kRounds; ++round) {
      const Fit4 fit = fit4(x.data(), all.weights.data(), line);
      if (fit.error < best_error) {
        best_error = fit.error;
        best = line;
      }
      line = refined4(all, fit, line);
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

// The 6-bit scale and offset of one sub-block: the best pair close to the ideal line.
void settle4(std::span<const float> x,
             const Weighed4& all,
             const Line& ideal,
             float d,
             float dmin,
             uint8_t& scale,
             uint8_t& offset) {
  const auto near = [](float value, float unit) {
    return static_cast<int>(rounded(std::clamp(value * inverse_of(unit), 0.0F, 63.0F)));
  };
  const int near_scale = near(ideal.scale, d), near_offset = near(ideal.offset, dmin);
  float best = -1;
  for (int s = std::max(near_scale - 1, 0); s <= std::min(near_scale + 1, 63); ++s) {
    for (int o = std::max(near_offset - 1, 0); o <= std::min(near_offset + 1, 63); ++o) {
      const Line line = {d * static_cast<float>(s), dmin * static_cast<float>(o)};
      const float error = error4(x.data(), all.weights.data(), line);
      if (best >= 0 && error >= best) continue;
      best = error;
      scale = static_cast<uint8_t>(s);
      offset = static_cast<uint8_t>(o);
    }
  }
}

// ---- q6_k: sixteen sub-blocks of 16, x ~ scale * q with q in -32..31; squares weigh by x^2

constexpr size_t kSix = 16;

inline float nearest6(float x, float inverse) {
  return rounded(std::min(std::max(x * inverse, -32.0F), 31.0F));
}

// As Fit4: the best scale for the same steps is wqx / wqq.
struct Fit6 {
  float error = 0, wqx = 0, wqq = 0;
};
LLMCTL_CLONES Fit6 fit6(const float* x, float scale) {
  const float inverse = inverse_of(scale);
  Lanes error{}, wqx{}, wqq{};
  for (size_t i = 0; i < kSix; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = x[i + lane], weight = value * value;
      const float q = nearest6(value, inverse), off = scale * q - value;
      error[lane] += weight * off * off;
      wqx[lane] += weight * q * value;
      wqq[lane] += weight * q * q;
    }
  }
  return {sum_of(error), sum_of(wqx), sum_of(wqq)};
}

float best_scale6(std::span<const float> x) {
  constexpr int kRounds = 3;
  const float most = *std::max_element(x.begin(), x.end(),
                                       [](float a, float b) { return std::abs(a) < std::abs(b); });
  if (most == 0) return 0;
  float best = most / -32, best_error = fit6(x.data(), best).error;
  for (float steps = -34; steps <= -30; steps += 0.5F) {
    float scale = most / steps;
    for (int round = 0; round < kRounds; ++round) {
      const Fit6 fit = fit6(x.data(), scale);
      if (fit.error < best_error) {
        best_error = fit.error;
        best = scale;
      }
      if (fit.wqq > 0) scale = fit.wqx / fit.wqq;
    }
  }
  return best;
}

int8_t settle6(std::span<const float> x, float ideal, float d) {
  const int near = static_cast<int>(rounded(std::clamp(ideal * inverse_of(d), -128.0F, 127.0F)));
  int best = near;
  float best_error = fit6(x.data(), d * static_cast<float>(near)).error;
  for (int s = std::max(near - 1, -128); s <= std::min(near + 1, 127); ++s) {
    const float error = fit6(x.data(), d * static_cast<float>(s)).error;
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
  std::array<Weighed4, 8> weighed;
  float most_scale = 0, most_offset = 0;
  for (size_t j = 0; j < lines.size(); ++j) {
    const auto x = values.subspan(j * kFour, kFour);
    weighed[j] = weighed4(x);
    lines[j] = best_line(x, weighed[j]);
    most_scale = std::max(most_scale, lines[j].scale);
    most_offset = std::max(most_offset, lines[j].offset);
  }
  const float d = stored_f16(most_scale / 63, out);
  const float dmin = stored_f16(most_offset / 63, out + 2);
  FourScales scales;
  std::array<float, kSuper> steps{};
  for (size_t j = 0; j < lines.size(); ++j) {
    const auto x = values.subspan(j * kFour, kFour);
    settle4(x, weighed[j], lines[j], d, dmin, scales.scale[j], scales.offset[j]);
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
