# nvcc for a CUDA build of torch: `llmctl_nvcc`, and `toolkit` for the folder that holds it with
# everything of CUDA. Both are empty where there is none.
#
# The wheels that came with torch, and nvidia-cuda-nvcc, -crt, -cccl and nvidia-nvvm of the same
# version, hold all parts of a toolkit, but in another shape: no lib64, and libraries only under
# versioned names. They are laid out as one by symbolic links in the build folder. Without these
# wheels an installed toolkit does.
set(LLMCTL_CUDA_SITE "" CACHE PATH "The site-packages with nvcc's wheels, when not torch's own")
get_filename_component(site ${torch_root}/.. ABSOLUTE) # where pip put torch and its libraries
set(llmctl_nvcc "")
set(toolkit "")

# llmctl_link(from to): `to` becomes a symbolic link to `from`, unless something is there.
function(llmctl_link from to)
  if(NOT EXISTS ${to})
    file(CREATE_LINK ${from} ${to} SYMBOLIC)
  endif()
endfunction()

# llmctl_lay_out(wheels root): the files of the wheels in one folder as a toolkit in `root`. Links
# are made file by file: nvcc looks for ../lib64 from the folder it lies in, and two folders of
# wheels make up one toolkit.
function(llmctl_lay_out wheels root)
  file(MAKE_DIRECTORY ${root}/bin ${root}/include ${root}/lib64 ${root}/nvvm)
  foreach(folder bin include nvvm)
    file(GLOB entries ${wheels}/${folder}/*)
    foreach(entry ${entries})
      get_filename_component(name ${entry} NAME)
      llmctl_link(${entry} ${root}/${folder}/${name})
    endforeach()
  endforeach()
  file(GLOB libraries ${wheels}/lib/lib*.so.* ${wheels}/lib/lib*.a)
  foreach(library ${libraries})
    get_filename_component(name ${library} NAME)
    string(REGEX REPLACE "\\.so\\..*" ".so" plain_name ${name})
    llmctl_link(${library} ${root}/lib64/${name})
    llmctl_link(${library} ${root}/lib64/${plain_name})
  endforeach()
endfunction()

set(sites ${site} ${LLMCTL_CUDA_SITE})
list(TRANSFORM sites APPEND /nvidia/cu[0-9]*/bin/nvcc OUTPUT_VARIABLE patterns)
file(GLOB wheel_nvcc ${patterns})
find_program(LLMCTL_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
mark_as_advanced(LLMCTL_NVCC)
if(wheel_nvcc)
  set(toolkit ${CMAKE_BINARY_DIR}/cuda-toolkit)
  list(TRANSFORM sites APPEND /nvidia/cu[0-9]* OUTPUT_VARIABLE patterns)
  file(GLOB wheels ${patterns})
  file(REMOVE_RECURSE ${toolkit}) # it may be that of another torch
  foreach(folder ${wheels})
    llmctl_lay_out(${folder} ${toolkit})
  endforeach()
elseif(LLMCTL_NVCC)
  get_filename_component(nvcc ${LLMCTL_NVCC} REALPATH)
  get_filename_component(toolkit ${nvcc}/../.. ABSOLUTE)
endif()
if(toolkit)
  set(llmctl_nvcc ${toolkit}/bin/nvcc)
endif()
