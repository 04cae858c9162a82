// One attempt to train: prepare (data, ranks, model, newest checkpoint), step until the end, save,
// leave when asked. What a step computes is a pure function of spec, seed, step and the weights
// before it, so a resumed run is bitwise equal to an undisturbed one. Errors are how the attempt
// ended; c10 exceptions (out of memory, a lost peer) pass through to main. One thread.
#pragma once

#include <filesystem>

#include "core/run/run_config.h"
#include "trainer/device/tensor.h"
#include "trainer/run/ending.h"
#include "trainer/run/reports/report.h"

namespace llmctl {

// `device` is config.device, opened. `run_directory` holds config.json and the lease.
Ending train(const RunConfig& config,
             at::Device device,
             const std::filesystem::path& run_directory,
             const Clock& clock,
             Reporter& report);

}  // namespace llmctl
