// The probe: which plans of RunConfig.candidates really fit, and how fast they are. Each that
// probe_search.h asks for is a few real steps on a full batch of made-up tokens (sequences are
// always full, so any batch is the worst one), from empty memory. Running out is an outcome, not an
// error. It ends when its time is over, with what it has: a measurement is then given up, but not
// the first one that fits.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/run/run_config.h"
#include "trainer/device/tensor.h"

namespace llmctl {

struct ProbeListener {
  std::function<void(const std::string&)> phase;     // what is measured; about once a second
  std::function<void(const ProbeResult&)> measured;  // in the order tried
};

// All results. `device` is config.device, opened.
std::vector<ProbeResult> probe(const RunConfig& config,
                               at::Device device,
                               const ProbeListener& listener);

}  // namespace llmctl
