// The device a run computes on, chosen once: "cpu", "cuda" (the first) or "cuda:N", counted in the
// order of the PCI bus as the worker's NVML does. CUDA is in this build when the LibTorch it was
// made with has it; LLMCTL_CUDA says so.
#pragma once

#include <string>

#include "trainer/device/tensor.h"

namespace llmctl {

// Readies the device for this thread: makes it the current one, and its kernels deterministic, so
// that a resumed run is bitwise the same. Before the first tensor on it. invalid_argument when the
// name is none, CUDA is not in this build, or no such GPU is visible.
Result<at::Device> open_device(const std::string& name);
std::string device_model(at::Device device);  // "AMD EPYC 7B13"
// When all that was given to the device is done; at once on the CPU.
void wait_for(at::Device device);

}  // namespace llmctl
