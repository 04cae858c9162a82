// The probe: which plans of RunConfig.candidates really fit, and how fast they are. Each candidate
// is a few real steps on a full batch of made-up tokens (sequences are always full, so any batch is
// the worst one), from empty memory. Running out is an outcome, not an error. Stops when the rest
// cannot be better.
#pragma once

#include <functional>
#include <vector>

#include "core/run/run_config.h"
#include "trainer/device/tensor.h"

namespace llmctl {

// Results in the order tried. `device` is config.device, opened. `pulse` is called all along.
std::vector<ProbeResult> probe(const RunConfig& config,
                               at::Device device,
                               const std::function<void()>& pulse,
                               const std::function<void(const ProbeResult&)>& tell);

}  // namespace llmctl
