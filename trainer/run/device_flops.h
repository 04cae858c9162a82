// What a device reaches in large fp32 matrix products: the roofline that MFU is told against, since
// the figure on its box says little about a CPU, a laptop's GPU or a shared machine. Takes about a
// fifth of a second and a few matrices of memory, which are given back; the peak of device_memory
// begins anew. FLOP per second; 0: there is no memory for it.
#pragma once

#include <c10/core/Device.h>

namespace llmctl {

double measure_device_flops(c10::Device device);

}  // namespace llmctl
