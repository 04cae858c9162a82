# What the trainer's CUDA code needs of LibTorch and of the toolkit that llmctl_nvcc.cmake found.
set(CUDA_TOOLKIT_ROOT_DIR ${toolkit} CACHE PATH "CUDA toolkit" FORCE)
set(CMAKE_CUDA_COMPILER ${llmctl_nvcc} CACHE FILEPATH "nvcc")
if(NOT DEFINED ENV{TORCH_CUDA_ARCH_LIST})
  set(TORCH_CUDA_ARCH_LIST "8.0;8.6;8.9;9.0+PTX" CACHE STRING "what nvcc compiles for")
endif()
find_package(Torch REQUIRED)
target_link_libraries(llmctl_torch INTERFACE torch)
# A toolkit may come without the headers of cuBLAS and its like; torch's wheels have them.
file(GLOB wheel_headers ${site}/nvidia/cu[0-9]*/include ${site}/nvidia/nccl/include)
target_include_directories(llmctl_torch SYSTEM INTERFACE ${wheel_headers})
target_compile_definitions(llmctl_torch INTERFACE LLMCTL_CUDA USE_C10D_NCCL)
