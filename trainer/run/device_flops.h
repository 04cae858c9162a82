// What a device reaches in large matrix products of a run's own precision: the roofline that MFU is
// told against, since the figure on its box says little about a CPU, a laptop's GPU or a shared
// machine. FLOP per second; 0: unknown. What a run reaches changes nothing in it.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <string>

namespace llmctl {

// Takes about a fifth of a second and a few matrices of memory, which are given back; the peak of
// device_memory begins anew. 0: there is no memory for it. "tf32" as the process is set for it.
double measure_device_flops(c10::Device device, const std::string& precision);

// The largest of this measurement and of those before: of this model of device, precision and
// number of threads, as remembered in `cache_dir` (empty: nowhere). Something else may compute
// while one is taken, and then it is too small.
double best_device_flops(c10::Device device,
                         const std::string& precision,
                         const std::filesystem::path& cache_dir);

}  // namespace llmctl
