# LibTorch as the target `llmctl_torch`: of a CPU build just `torch`, of a CUDA build also what the
# trainer's CUDA code needs. Which of the two it is, torch's own folder tells.
#
# torch's CMake package asks for a CUDA toolkit with nvcc. The wheels that came with torch (and
# nvidia-cuda-nvcc, -crt, -cccl and nvidia-nvvm of the same version) hold all parts of one, but in
# another shape: no lib64, and libraries only under versioned names. They are laid out as a toolkit
# by symbolic links in the build folder. Without these wheels an installed toolkit does.

find_path(LLMCTL_TORCH_CMAKE Torch/TorchConfig.cmake HINTS ${Torch_DIR}/..
  PATH_SUFFIXES share/cmake)
mark_as_advanced(LLMCTL_TORCH_CMAKE)
get_filename_component(torch_root ${LLMCTL_TORCH_CMAKE}/../.. ABSOLUTE)
get_filename_component(site ${torch_root}/.. ABSOLUTE) # where pip put torch and its libraries
set(LLMCTL_CUDA OFF)
if(EXISTS ${torch_root}/lib/libtorch_cuda.so)
  set(LLMCTL_CUDA ON)
endif()

# llmctl_link(from to): `to` becomes a symbolic link to `from`, unless something is there.
function(llmctl_link from to)
  if(NOT EXISTS ${to})
    file(CREATE_LINK ${from} ${to} SYMBOLIC)
  endif()
endfunction()

# llmctl_lay_out(wheels root): the files of the wheels as a toolkit in `root`.
function(llmctl_lay_out wheels root)
  file(MAKE_DIRECTORY ${root}/bin ${root}/lib64)
  llmctl_link(${wheels}/include ${root}/include)
  llmctl_link(${wheels}/nvvm ${root}/nvvm)
  file(GLOB programs ${wheels}/bin/*)
  foreach(program ${programs}) # one by one: nvcc looks for ../lib64 from the folder it lies in
    get_filename_component(name ${program} NAME)
    llmctl_link(${program} ${root}/bin/${name})
  endforeach()
  file(GLOB libraries ${wheels}/lib/lib*.so.* ${wheels}/lib/lib*.a)
  foreach(library ${libraries})
    get_filename_component(name ${library} NAME)
    string(REGEX REPLACE "\\.so\\..*" ".so" plain_name ${name})
    llmctl_link(${library} ${root}/lib64/${name})
    llmctl_link(${library} ${root}/lib64/${plain_name})
  endforeach()
endfunction()

if(LLMCTL_CUDA)
  file(GLOB wheel_nvcc ${site}/nvidia/cu*/bin/nvcc)
  find_program(LLMCTL_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
  mark_as_advanced(LLMCTL_NVCC)
  if(wheel_nvcc)
    get_filename_component(wheels ${wheel_nvcc}/../.. ABSOLUTE)
    set(toolkit ${CMAKE_BINARY_DIR}/cuda-toolkit)
    llmctl_lay_out(${wheels} ${toolkit})
  elseif(LLMCTL_NVCC)
    get_filename_component(nvcc ${LLMCTL_NVCC} REALPATH)
    get_filename_component(toolkit ${nvcc}/../.. ABSOLUTE)
  else()
    message(FATAL_ERROR "${torch_root} is a CUDA build, and there is no nvcc. Install the CUDA "
      "toolkit of its version, or the wheels nvidia-cuda-nvcc, nvidia-cuda-crt, nvidia-cuda-cccl "
      "and nvidia-nvvm of that version (./dev cuda does).")
  endif()
  set(CUDA_TOOLKIT_ROOT_DIR ${toolkit} CACHE PATH "CUDA toolkit" FORCE)
  set(CMAKE_CUDA_COMPILER ${toolkit}/bin/nvcc CACHE FILEPATH "nvcc")
  if(NOT DEFINED ENV{TORCH_CUDA_ARCH_LIST})
    set(TORCH_CUDA_ARCH_LIST "8.0;8.6;8.9;9.0+PTX" CACHE STRING "what nvcc compiles for")
  endif()
endif()

find_package(Torch REQUIRED) # ./dev passes Torch_DIR or CMAKE_PREFIX_PATH

add_library(llmctl_torch INTERFACE)
# libtorch.so of CUDA wheels exports parts of std::filesystem from its own static libstdc++, which
# crash in other programs: the real library has to come first.
target_link_libraries(llmctl_torch INTERFACE stdc++ torch)
if(LLMCTL_CUDA)
  # A toolkit may come without the headers of cuBLAS and its like; torch's wheels have them.
  file(GLOB wheel_headers ${site}/nvidia/cu*/include ${site}/nvidia/nccl/include)
  target_include_directories(llmctl_torch SYSTEM INTERFACE ${wheel_headers})
  target_compile_definitions(llmctl_torch INTERFACE LLMCTL_CUDA USE_C10D_NCCL)
endif()
