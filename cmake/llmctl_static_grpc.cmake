# gRPC's fifty shared libraries cost 8 ms of every start, which a CLI cannot afford: a target with
# the property LLMCTL_STATIC_GRPC links `llmctl_grpc_static`, the archives of the same packages.
#
# pkg-config knows them. RE2 is asked for too: gRPC's file names its library, but not what newer
# ones need themselves. Each is asked for by itself and once, because pkg-config walks abseil's
# hundred files again for every path that leads to them: together they take a minute on Debian 13.
if(NOT LLMCTL_GRPC_LIBRARIES)
  set(libraries)
  foreach(module grpc++ re2 protobuf)
    execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} --static --libs ${module}
      OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    list(FILTER flags INCLUDE REGEX "^-l")
    list(TRANSFORM flags REPLACE "^-l" "")
    list(APPEND libraries ${flags})
  endforeach()
  list(REMOVE_DUPLICATES libraries)
  list(REMOVE_ITEM libraries pthread dl rt m atomic) # the compiler's own; it adds them
  set(LLMCTL_GRPC_LIBRARIES ${libraries} CACHE INTERNAL "")
endif()

add_library(llmctl_grpc_static INTERFACE)
foreach(name ${LLMCTL_GRPC_LIBRARIES})
  find_library(LLMCTL_ARCHIVE_${name} lib${name}.a REQUIRED)
  mark_as_advanced(LLMCTL_ARCHIVE_${name})
  target_link_libraries(llmctl_grpc_static INTERFACE ${LLMCTL_ARCHIVE_${name}})
endforeach()
target_link_libraries(llmctl_grpc_static INTERFACE Threads::Threads)
