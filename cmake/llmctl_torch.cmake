# LibTorch as the target `llmctl_torch`, for the CPU alone or for CUDA too.
#
# LLMCTL_DEVICE says which; empty: CUDA where torch is a CUDA build and there is an nvcc. PyPI's
# torch for Linux is a CUDA build, so for the CPU nothing of CUDA is asked for: torch's CMake
# package would want a whole toolkit. Its CPU libraries and headers are the same in both builds.
set(LLMCTL_DEVICE "" CACHE STRING "cpu, cuda, or empty: what torch and this machine allow")

find_path(LLMCTL_TORCH_CMAKE Torch/TorchConfig.cmake HINTS ${Torch_DIR}/..
  PATH_SUFFIXES share/cmake REQUIRED) # ./dev passes Torch_DIR or CMAKE_PREFIX_PATH
mark_as_advanced(LLMCTL_TORCH_CMAKE)
get_filename_component(torch_root ${LLMCTL_TORCH_CMAKE}/../.. ABSOLUTE)

set(LLMCTL_CUDA OFF)
if(EXISTS ${torch_root}/lib/libtorch_cuda.so AND NOT LLMCTL_DEVICE STREQUAL "cpu")
  include(llmctl_nvcc) # sets llmctl_nvcc and toolkit where there is a compiler
  if(llmctl_nvcc)
    set(LLMCTL_CUDA ON)
  endif()
endif()
if(LLMCTL_DEVICE STREQUAL "cuda" AND NOT LLMCTL_CUDA)
  message(FATAL_ERROR "For CUDA the trainer needs a CUDA build of torch (here: ${torch_root}) and "
    "nvcc: the CUDA toolkit of its version, or the wheels nvidia-cuda-nvcc, nvidia-cuda-crt, "
    "nvidia-cuda-cccl and nvidia-nvvm of that version (./dev brings them).")
endif()

add_library(llmctl_torch INTERFACE)
# LibTorch's libraries export parts of std::filesystem from their own static libstdc++, which crash
# in other programs: the real library has to come first.
target_link_libraries(llmctl_torch INTERFACE stdc++)
if(LLMCTL_CUDA)
  message(STATUS "LibTorch of ${torch_root}, for CPU and CUDA")
  include(llmctl_cuda)
else()
  message(STATUS "LibTorch of ${torch_root}, for the CPU")
  # The definitions that torch's headers need are in its list of targets. Its C++ ABI is g++'s
  # default: LibTorch of 2.11 and later knows no other.
  file(READ ${LLMCTL_TORCH_CMAKE}/Caffe2/Caffe2Targets.cmake targets)
  string(REGEX MATCH "torch_cpu PROPERTIES[\r\n ]+INTERFACE_COMPILE_DEFINITIONS \"([^\"]*)\""
    found "${targets}")
  target_compile_definitions(llmctl_torch INTERFACE ${CMAKE_MATCH_1})
  target_include_directories(llmctl_torch SYSTEM INTERFACE ${torch_root}/include
    ${torch_root}/include/torch/csrc/api/include)
  target_link_libraries(llmctl_torch INTERFACE ${torch_root}/lib/libtorch_cpu.so
    ${torch_root}/lib/libc10.so)
endif()
