#include "trainer/ops/cuda/kernels/launch.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "trainer/ops/cuda/kernels/loss_rows.h"
#include "trainer/ops/cuda/kernels/mlp_rows.h"
#include "trainer/ops/cuda/kernels/norm_rows.h"
#include "trainer/ops/cuda/kernels/rotary_rows.h"
#include "trainer/ops/cuda/kernels/update_elements.h"

namespace llmctl::kernels {
namespace {

constexpr int64_t kMostBlocks = 1 << 20;  // more work is done in turns
// Bounds of a block, told to the compiler: else it may take more registers for a thread than a
// block of so many has, and the launch is refused.
constexpr int kRowThreads = 1'024, kElementThreads = 256;

template <class Kernel>
__global__ void __launch_bounds__(kRowThreads) for_rows(Kernel kernel, int64_t rows) {
  const Lanes lanes = {static_cast<int32_t>(threadIdx.x), static_cast<int32_t>(blockDim.x)};
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) kernel(row, lanes);
}

template <class Kernel>
__global__ void __launch_bounds__(kElementThreads) for_elements(Kernel kernel, int64_t elements) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements;
       i += step) {
    kernel(i);
  }
}

void refuse_errors() {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
  }
}

}  // namespace

template <class Kernel>
void launch_rows(const Kernel& kernel, int64_t rows, int64_t width, void* stream) {
  if (rows == 0) return;
  const unsigned threads = width <= 512 ? 128 : width <= 8'192 ? 256 : kRowThreads;
  const auto blocks = static_cast<unsigned>(std::min(rows, kMostBlocks));
  for_rows<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(kernel, rows);
  refuse_errors();
}

template <class Kernel>
void launch_elements(const Kernel& kernel, int64_t elements, void* stream) {
  if (elements == 0) return;
  const int64_t blocks = std::min((elements + kElementThreads - 1) / kElementThreads, kMostBlocks);
  for_elements<<<static_cast<unsigned>(blocks), kElementThreads, 0,
                 static_cast<cudaStream_t>(stream)>>>(kernel, elements);
  refuse_errors();
}

#define LLMCTL_ROWS(Kernel) \
  template void launch_rows(const Kernel&, int64_t rows, int64_t width, void* stream)
#define LLMCTL_ELEMENTS(Kernel) \
  template void launch_elements(const Kernel&, int64_t elements, void* stream)
#define LLMCTL_EVERY_NUMBER(List, Kernel) \
  List(Kernel<float>);                    \
  List(Kernel<c10::BFloat16>);            \
  List(Kernel<c10::Half>)

LLMCTL_EVERY_NUMBER(LLMCTL_ROWS, RmsNorm);
LLMCTL_EVERY_NUMBER(LLMCTL_ROWS, RecomputeRmsNorm);
LLMCTL_EVERY_NUMBER(LLMCTL_ROWS, RmsNormBackward);
LLMCTL_ROWS(CrossEntropy);
LLMCTL_ELEMENTS(AddParts);
LLMCTL_EVERY_NUMBER(LLMCTL_ROWS, Glu);
LLMCTL_EVERY_NUMBER(LLMCTL_ROWS, GluBackward);
LLMCTL_EVERY_NUMBER(LLMCTL_ELEMENTS, Gelu);
LLMCTL_EVERY_NUMBER(LLMCTL_ELEMENTS, GeluBackward);
LLMCTL_EVERY_NUMBER(LLMCTL_ROWS, Rotate);
LLMCTL_EVERY_NUMBER(LLMCTL_ROWS, RotateBack);
LLMCTL_ELEMENTS(AdamWUpdate<float>);
LLMCTL_ELEMENTS(AdamWUpdate<c10::BFloat16>);
LLMCTL_ELEMENTS(LionUpdate);

}  // namespace llmctl::kernels
