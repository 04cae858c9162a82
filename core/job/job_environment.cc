#include "core/job/job_environment.h"

#include <algorithm>
#include <array>

namespace llmctl {

// Exact names, or prefixes when they end in '_'. Nothing that names a library, a plugin, a file, a
// folder or a device. Nobody reads JOB_*: a place for notes of the person's own.
static constexpr auto kSettable = std::to_array<std::string_view>({"CUBLAS_WORKSPACE_CONFIG",
                                                                   "CUDA_DEVICE_MAX_CONNECTIONS",
                                                                   "CUDA_LAUNCH_BLOCKING",
                                                                   "CUDA_MODULE_LOADING",
                                                                   "GLOO_SOCKET_IFNAME",
                                                                   "GOMP_CPU_AFFINITY",
                                                                   "GOMP_SPINCOUNT",
                                                                   "JOB_",
                                                                   "KMP_AFFINITY",
                                                                   "KMP_BLOCKTIME",
                                                                   "LANG",
                                                                   "LC_",
                                                                   "MALLOC_ARENA_MAX",
                                                                   "MKL_CBWR",
                                                                   "MKL_DYNAMIC",
                                                                   "MKL_NUM_THREADS",
                                                                   "NCCL_ALGO",
                                                                   "NCCL_BUFFSIZE",
                                                                   "NCCL_COLLNET_ENABLE",
                                                                   "NCCL_CROSS_NIC",
                                                                   "NCCL_CUMEM_ENABLE",
                                                                   "NCCL_DEBUG",
                                                                   "NCCL_DEBUG_SUBSYS",
                                                                   "NCCL_IB_",
                                                                   "NCCL_MAX_",
                                                                   "NCCL_MIN_",
                                                                   "NCCL_NET_GDR_",
                                                                   "NCCL_NTHREADS",
                                                                   "NCCL_NVLS_ENABLE",
                                                                   "NCCL_P2P_",
                                                                   "NCCL_PROTO",
                                                                   "NCCL_SHM_DISABLE",
                                                                   "NCCL_SOCKET_",
                                                                   "NVIDIA_TF32_OVERRIDE",
                                                                   "OMP_DYNAMIC",
                                                                   "OMP_NUM_THREADS",
                                                                   "OMP_PLACES",
                                                                   "OMP_PROC_BIND",
                                                                   "OMP_WAIT_POLICY",
                                                                   "PYTORCH_ALLOC_CONF",
                                                                   "PYTORCH_CUDA_ALLOC_CONF",
                                                                   "TORCH_CPP_LOG_LEVEL",
                                                                   "TORCH_DISTRIBUTED_DEBUG",
                                                                   "TORCH_SHOW_CPP_STACKTRACES",
                                                                   "TZ"});

bool job_may_set(std::string_view variable) {
  return std::any_of(kSettable.begin(), kSettable.end(), [&](std::string_view entry) {
    return entry.back() == '_' ? variable.starts_with(entry) : variable == entry;
  });
}

std::string settable_variables() {
  std::string all;
  for (const std::string_view entry : kSettable) {
    all.append(all.empty() ? "" : ", ").append(entry).append(entry.back() == '_' ? "*" : "");
  }
  return all;
}

}  // namespace llmctl
