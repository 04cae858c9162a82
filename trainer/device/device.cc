#include "trainer/device/device.h"

#include <charconv>
#include <cstdlib>
#include <fstream>

#ifdef LLMCTL_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace llmctl {
namespace {

Error refused(const std::string& name, const std::string& why, const std::string& hint) {
  return {Code::invalid_argument, "device " + name + ": " + why, hint};
}

// The N of "cuda:N"; "cuda" alone is the first.
Result<int> cuda_index(const std::string& name) {
  int index = 0;
  if (name == "cuda") return index;
  const std::string prefix = "cuda:";
  const char *begin = name.data() + prefix.size(), *end = name.data() + name.size();
  if (name.starts_with(prefix) && begin != end) {
    const auto [parsed, error] = std::from_chars(begin, end, index);
    if (error == std::errc() && parsed == end && index >= 0) return index;
  }
  return refused(name, "expected cpu, cuda or cuda:N", "");
}

#ifdef LLMCTL_CUDA

// Read by the driver and by cuBLAS when they start; what a person has set stays.
void set_environment() {
  setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", /*overwrite=*/0);
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8",
         /*overwrite=*/0);  // else sums may change their order
}

// All of a process's work is on one stream, and not on the default one, whose work CUDA does not
// capture as a graph. Libraries keep a workspace for each stream that they have seen.
void use_own_stream(c10::DeviceIndex device) {
  static const c10::cuda::CUDAStream stream =
      c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device);
  c10::cuda::setCurrentCUDAStream(stream);
}

Result<at::Device> open_cuda(const std::string& name, int index) {
  set_environment();
  const int visible = c10::cuda::device_count();  // 0 also when there is no driver
  if (visible == 0) {
    return refused(name, "no GPU is visible",
                   "see nvidia-smi for the driver, and CUDA_VISIBLE_DEVICES");
  }
  if (index >= visible) {
    return refused(name, "only " + std::to_string(visible) + " visible", "they count from 0");
  }
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
  use_own_stream(static_cast<c10::DeviceIndex>(index));
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Deterministic mode would also fill every new tensor with NaN: a pass over memory for nothing.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

#else

Result<at::Device> open_cuda(const std::string& name, int /*index*/) {
  return refused(name, "this trainer was built without CUDA",
                 "build it with a CUDA build of torch: ./dev cuda");
}

#endif

}  // namespace

Result<at::Device> open_device(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  return open_cuda(name, TRY(cuda_index(name)));
}

static std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

std::string device_model(at::Device device) {
#ifdef LLMCTL_CUDA
  if (device.is_cuda()) {
    const cudaDeviceProp& of = *at::cuda::getDeviceProperties(device.index());
    // A part of a GPU (MIG) may go by the name of the whole.
    return std::string(of.name) + ", " + std::to_string(of.multiProcessorCount) +
           " multiprocessors";
  }
#else
  CHECK(device.is_cpu());
#endif
  return cpu_model();
}

void wait_for(at::Device device) {
#ifdef LLMCTL_CUDA
  if (device.is_cuda()) c10::cuda::device_synchronize();
#else
  CHECK(device.is_cpu());
#endif
}

}  // namespace llmctl
