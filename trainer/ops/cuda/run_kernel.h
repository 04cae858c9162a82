// Running the bodies of ops/cuda/kernels/ over tensors: on a GPU through launch.cu, and on the CPU,
// for tests, in a plain loop with one lane. Work is only enqueued, on the current stream.
#pragma once

#include <c10/core/impl/VirtualGuardImpl.h>

#include "core/base/result.h"
#include "trainer/device/tensor.h"
#include "trainer/ops/cuda/kernels/lanes.h"
#ifdef LLMCTL_CUDA
#include "trainer/ops/cuda/kernels/launch.h"
#endif

namespace llmctl::cuda {

#ifdef LLMCTL_CUDA
inline void* stream_of(const at::Tensor& t) {
  const c10::impl::VirtualGuardImpl device(t.device().type());
  return device.getStreamNativeHandle(device.getStream(t.device()));
}
#endif

// Where `like` is.
template <class Kernel>
void run_rows(const at::Tensor& like, const Kernel& kernel, int64_t rows, int64_t width) {
#ifdef LLMCTL_CUDA
  if (like.is_cuda()) return kernels::launch_rows(kernel, rows, width, stream_of(like));
#endif
  CHECK(like.is_cpu() && width >= 0);
  for (int64_t row = 0; row < rows; ++row) kernel(row, kernels::Lanes{});
}

template <class Kernel>
void run_elements(const at::Tensor& like, const Kernel& kernel, int64_t elements) {
#ifdef LLMCTL_CUDA
  if (like.is_cuda()) return kernels::launch_elements(kernel, elements, stream_of(like));
#endif
  CHECK(like.is_cpu());
  for (int64_t i = 0; i < elements; ++i) kernel(i);
}

// Calls `use` with a number of that type.
template <class Use>
void with_number(at::ScalarType type, const Use& use) {
  if (type == at::kBFloat16) return use(at::BFloat16{});
  if (type == at::kHalf) return use(at::Half{});
  CHECK(type == at::kFloat);
  use(float{});
}

template <class Number>
Number* to(const at::Tensor& t) {
  CHECK(t.is_contiguous());
  return t.mutable_data_ptr<Number>();
}

template <class Number>
const Number* from(const at::Tensor& t) {
  CHECK(t.is_contiguous());
  return t.const_data_ptr<Number>();
}

}  // namespace llmctl::cuda
