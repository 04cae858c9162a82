// fp32 matrix products on a CPU by OpenBLAS, where that is faster than LibTorch's MKL: on AMD, if
// the library is installed. Two Zen 4 cores can do 230 GFLOP/s; MKL reaches 130 (logits of a large
// vocabulary) to 200, OpenBLAS's Zen kernels 185 to 215. Which one is a matter of the machine
// alone, so that results repeat to the bit. Any thread, but for load().
#pragma once

#include <string>

#include "trainer/tensor.h"

namespace llmctl::cpu_gemm {

// Loads the library; products do by themselves. It reads environment variables that are set here,
// so a program calls this before it starts threads. Later calls do nothing.
void load();

// "OpenBLAS 0.3.21 Zen", or "LibTorch".
std::string name();

// out (+)= a b. False: not for us (another type, device or layout; no library), nothing was done.
bool multiply(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add);

}  // namespace llmctl::cpu_gemm
