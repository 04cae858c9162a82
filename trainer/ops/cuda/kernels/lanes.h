// What the bodies of our own kernels are written in: functions over one row or one element, for the
// host and for CUDA at once. A row is shared by `lanes` threads of one block; lane i takes every
// lanes-th element from the i-th on. On the host one lane does it all, which is how tests run the
// very text that a GPU runs. No torch here, nor anything else that nvcc would take long for.
#pragma once

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define LLMCTL_DEVICE __host__ __device__
#else
#define LLMCTL_DEVICE
#endif

namespace llmctl::kernels {

struct Lanes {
  int32_t lane = 0, lanes = 1;  // on CUDA a multiple of 32

  // Of every lane's `x`, to every lane, in the same order each time. All lanes must call it.
  LLMCTL_DEVICE float sum(float x) const {
#ifdef __CUDA_ARCH__
    return over_all(x, 0.0f, [](float a, float b) { return a + b; });
#else
    return x;
#endif
  }
  LLMCTL_DEVICE float largest(float x) const {
#ifdef __CUDA_ARCH__
    return over_all(x, x, [](float a, float b) { return a > b ? a : b; });
#else
    return x;
#endif
  }

#ifdef __CUDA_ARCH__
 private:
  template <class Join>
  __device__ static float over_warp(float x, Join join) {
    for (int step = 16; step > 0; step /= 2) x = join(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
  }
  template <class Join>
  __device__ float over_all(float x, float nothing, Join join) const {
    __shared__ float of_warp[32];
    x = over_warp(x, join);
    __syncthreads();  // somebody may still read what the last call left
    if (lane % 32 == 0) of_warp[lane / 32] = x;
    __syncthreads();
    return over_warp(lane % 32 < lanes / 32 ? of_warp[lane % 32] : nothing, join);
  }
#endif
};

}  // namespace llmctl::kernels
