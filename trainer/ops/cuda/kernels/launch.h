// Runs a kernel of this folder on the current CUDA device: a block of threads per row, or a thread
// per element. Only enqueues; `stream` is a cudaStream_t. Defined in launch.cu, for the kernels
// that it lists; only in a build with CUDA. Throws std::runtime_error when CUDA refuses.
#pragma once

#include <cstdint>

namespace llmctl::kernels {

// `width`: elements of a row, from which the number of its threads follows.
template <class Kernel>
void launch_rows(const Kernel& kernel, int64_t rows, int64_t width, void* stream);

template <class Kernel>
void launch_elements(const Kernel& kernel, int64_t elements, void* stream);

}  // namespace llmctl::kernels
