#include "metrics/families.h"

#include <algorithm>
#include <cmath>

namespace llmctl {
namespace {

constexpr size_t kLabelBytes = 128;

// Length of the UTF-8 sequence at the front of `text`; 0: not one.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80                    ? 1
                        : lead >= 0xC2 && lead <= 0xDF ? 2
                        : lead >= 0xE0 && lead <= 0xEF ? 3
                        : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                       : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) > 0x9F;
  const bool too_big = lead == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || too_big ? 0 : length;
}

}  // namespace

GaugeFamily& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

CounterFamily& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

HistogramFamily& histogram(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

std::string label_value(std::string_view text) {
  std::string value;
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    const std::string_view next = length == 0 ? "?" : text.substr(0, length);
    if (value.size() + next.size() > kLabelBytes) break;
    value += next;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return value;
}

void set_finite(Series<prometheus::Gauge>& slot,
                GaugeFamily& family,
                const prometheus::Labels& labels,
                double value) {
  if (!std::isfinite(value)) {
    slot.reset();
    return;
  }
  if (!slot) slot = series(family, labels);
  slot->Set(value);
}

double GrowingTotal::observe(double total) {
  const double growth = last_ ? std::max(0.0, total - *last_) : 0;
  last_ = total;
  return growth;
}

}  // namespace llmctl
