#include "trainer/formats/gguf/rope.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "core/base/limits.h"
#include "trainer/layout/rope_scaling.h"

namespace llmctl {
namespace {

constexpr const char* kFreqs = "rope_freqs.weight";
constexpr const char* kShort = "rope_factors_short.weight";
constexpr const char* kLong = "rope_factors_long.weight";
constexpr double kSame = 1e-6;  // relative: numbers were stored as floats

using Factors = std::vector<double>;

// The same at every length, and nothing done to the scores.
bool is_plain_list(const RopeScaling& rope) {
  return rope.type == "longrope" && rope.short_factor == rope.long_factor &&
         rope.attention_factor == 1;
}

GgufTensor tensor_of(const char* name, const Factors& factors) {
  const auto read = [factors](std::span<float> out) {
    std::transform(factors.begin(), factors.end(), out.begin(),
                   [](double factor) { return static_cast<float>(factor); });
  };
  return {{name, {static_cast<int64_t>(factors.size())}, read}, GgufType::f32};
}

Factors factors_of(const ModelConfig& config) {
  Factors factors = plain_angles(config.rotary_dim(), config.rope_theta);
  const Factors stretched = rotary_angles(config, false, 1).per_position;
  for (size_t i = 0; i < factors.size(); ++i) factors[i] /= stretched[i];
  return factors;
}

const StoredTensor* find(const GgufFile& file, std::string_view name) {
  const auto found = std::find_if(file.tensors.begin(), file.tensors.end(),
                                  [&](const StoredTensor& t) { return t.name == name; });
  return found == file.tensors.end() ? nullptr : &*found;
}

Result<Factors> read_factors(const StoredTensor& tensor, const ModelConfig& config) {
  const auto fail = [&](const std::string& what) {
    return Error{Code::invalid_argument, "tensor \"" + tensor.name + "\": " + what, ""};
  };
  const int64_t pairs = config.rotary_dim() / 2;
  if (tensor.shape != std::vector{pairs}) {
    return fail("expected " + std::to_string(pairs) + " numbers, one for each pair of a head");
  }
  std::vector<float> values(static_cast<size_t>(pairs));
  tensor.read(values);
  for (const float value : values) {
    if (!(value > 0 && std::isfinite(value))) return fail("holds a number that is not above 0");
  }
  Factors factors(values.size());
  std::transform(values.begin(), values.end(), factors.begin(), as_written);
  return factors;
}

bool same(const Factors& a, const Factors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return std::fabs(x - y) <= kSame * y; });
}

// Between its two ends Llama-3's rule keeps of an angle a share that grows linearly with the angle;
// the line through two pairs there gives its numbers, low_freq_factor taken as 1, as it is in every
// model. Type default: no such rule gives these factors.
RopeScaling llama3_rule(ModelConfig config, const Factors& factors) {
  const Factors angles = plain_angles(config.rotary_dim(), config.rope_theta);
  const double slowest = factors.back();
  const auto kept = [&](size_t i) { return (1 / factors[i] - 1 / slowest) / (1 - 1 / slowest); };
  std::vector<size_t> between;
  for (size_t i = 0; i < factors.size(); ++i) {
    if (kept(i) > kSame && kept(i) < 1 - kSame) between.push_back(i);
  }
  if (between.size() < 2) return {};
  const size_t a = between.front(), z = between.back();
  const double slope = (kept(a) - kept(z)) / (angles[a] - angles[z]);
  const double width = 1 / (slope * angles[a] - kept(a));  // high_freq_factor - 1
  const double length = std::round(2 * std::numbers::pi * slope * width);
  if (!(width > 0 && width < 1e6 && length >= 1 && length <= limits::kSequenceLen)) return {};
  constexpr double kDigits = 1e3;
  config.rope = {.type = "llama3",
                 .factor = slowest,
                 .original_positions = static_cast<int64_t>(length),
                 .high_freq_factor = 1 + std::round(kDigits * width) / kDigits};
  return same(factors_of(config), factors) ? config.rope : RopeScaling{};
}

// Requires: rope_factors_long is there.
Status read_longrope(const GgufFile& file, const std::string& prefix, ModelConfig& config) {
  const std::string scaling = prefix + "rope.scaling.";
  const auto value = [&]<class T>(const std::string& key, T otherwise) {
    const auto found = file.metadata.find(scaling + key);
    const T* given = found == file.metadata.end() ? nullptr : std::get_if<T>(&found->second);
    return given == nullptr ? otherwise : *given;
  };
  if (find(file, kShort) == nullptr) {
    return Error{Code::invalid_argument, std::string("tensor \"") + kShort + "\": is missing", ""};
  }
  RopeScaling rope;
  rope.type = "longrope";
  rope.short_factor = TRY(read_factors(*find(file, kShort), config));
  rope.long_factor = TRY(read_factors(*find(file, kLong), config));
  rope.original_positions = value("original_context_length", uint32_t{0});
  if (rope.original_positions < 1 || rope.original_positions > limits::kSequenceLen) {
    return Error{Code::invalid_argument,
                 scaling + "original_context_length: expected the trained length", ""};
  }
  rope.factor = std::max(1.0, static_cast<double>(config.max_position_embeddings) /
                                  static_cast<double>(rope.original_positions));
  const double derived = longrope_attention_factor(rope);
  const double given = as_written(value("attn_factor", static_cast<float>(derived)));
  if (std::fabs(given - derived) > kSame * derived) rope.attention_factor = given;
  config.rope = rope;
  return ok_status();
}

}  // namespace

double as_written(float value) {
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), value);
  double number = 0;
  std::from_chars(std::begin(text), end.ptr, number);
  return number;
}

bool is_rope_tensor(std::string_view name) {
  return name == kFreqs || name == kShort || name == kLong;
}

bool has_rope_tensors(const ModelConfig& config) {
  const bool longrope = config.rope.type == "longrope";
  return config.rope.type == "llama3" || is_plain_list(config.rope) ||
         (longrope && config.architecture == "phi3");
}

std::vector<GgufTensor> rope_tensors(const ModelConfig& config) {
  if (!has_rope_tensors(config)) return {};
  if (config.architecture == "phi3") {
    return {tensor_of(kLong, config.rope.long_factor), tensor_of(kShort, config.rope.short_factor)};
  }
  return {tensor_of(kFreqs, factors_of(config))};
}

Status read_rope_tensors(const GgufFile& file, const std::string& prefix, ModelConfig& config) {
  if (find(file, kLong) != nullptr) return read_longrope(file, prefix, config);
  const StoredTensor* freqs = find(file, kFreqs);
  if (freqs == nullptr) return ok_status();
  const Factors factors = TRY(read_factors(*freqs, config));
  config.rope = llama3_rule(config, factors);
  if (config.rope.type == "llama3") return ok_status();
  config.rope = {.type = "longrope",
                 .original_positions = config.max_position_embeddings,
                 .attention_factor = 1,
                 .short_factor = factors,
                 .long_factor = factors};
  return ok_status();
}

}  // namespace llmctl
