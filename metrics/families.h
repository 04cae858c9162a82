// Metric families and the life of one series. A Series removes itself from its family when it is
// destroyed, so a job's series end with the value that holds them. All of it is thread-safe, as
// prometheus-cpp is. Names and units: docs/METRICS.md. The registry must outlive every Series.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmctl {

using GaugeFamily = prometheus::Family<prometheus::Gauge>;
using CounterFamily = prometheus::Family<prometheus::Counter>;
using HistogramFamily = prometheus::Family<prometheus::Histogram>;
using Buckets = std::vector<double>;  // upper bounds, ascending

GaugeFamily& gauge(prometheus::Registry& registry, const char* name, const char* help);
CounterFamily& counter(prometheus::Registry& registry, const char* name, const char* help);
HistogramFamily& histogram(prometheus::Registry& registry, const char* name, const char* help);

// Text of a person or a driver as a label value: at most 128 bytes of valid UTF-8, because one bad
// byte makes Prometheus refuse the whole page.
std::string label_value(std::string_view text);

template <class Metric>
struct RemoveFromFamily {
  prometheus::Family<Metric>* family = nullptr;
  void operator()(Metric* metric) const { family->Remove(metric); }
};
template <class Metric>
using Series = std::unique_ptr<Metric, RemoveFromFamily<Metric>>;

// Requires: no Series with the same labels is alive.
template <class Metric, class... Args>
Series<Metric> series(prometheus::Family<Metric>& family,
                      const prometheus::Labels& labels,
                      const Args&... args) {
  return Series<Metric>(&family.Add(labels, args...), RemoveFromFamily<Metric>{&family});
}

// Sets the gauge, making it on demand; a value that is not finite ends the series instead, since a
// missing point says "unknown" where NaN breaks sums.
void set_finite(Series<prometheus::Gauge>& slot,
                GaugeFamily& family,
                const prometheus::Labels& labels,
                double value);

// Adds what `total` grew by since the last call. A total that fell back (a run resumed from an
// older checkpoint) adds nothing, so the counter tells work done, repeated work included. The first
// total of a run that began before us adds nothing either: we did not see that work.
class GrowingTotal {
 public:
  void start_at(double total) { last_ = total; }
  double observe(double total);  // the growth

 private:
  std::optional<double> last_;
};

}  // namespace llmctl
