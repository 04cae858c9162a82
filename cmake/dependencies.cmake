# Every package we link, found once. Reasons: docs/DEPENDENCIES.md. `./dev setup` installs them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
if(LLMCTL_TESTS)
  find_package(GTest REQUIRED)
endif()

if(LLMCTL_CONTROL_PLANE)
  find_package(Protobuf 3.21 REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
  find_package(fmt REQUIRED) # for RESTinio, whose target names it
  find_package(restinio CONFIG REQUIRED)
  find_package(yaml-cpp 0.7 REQUIRED)
  find_package(CLI11 REQUIRED)
  pkg_check_modules(SQLITE3 REQUIRED IMPORTED_TARGET sqlite3)
  find_program(LLMCTL_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
  # gRPC's fifty shared libraries cost 8 ms of every start, which a CLI cannot afford: a target with
  # the property LLMCTL_STATIC_GRPC links the archives of the same packages instead.
  pkg_check_modules(GRPC REQUIRED grpc++ protobuf)
  list(REMOVE_DUPLICATES GRPC_STATIC_LIBRARIES)
  list(REMOVE_ITEM GRPC_STATIC_LIBRARIES pthread dl rt m atomic) # the compiler's own; it adds them
  add_library(llmctl_grpc_static INTERFACE)
  foreach(name ${GRPC_STATIC_LIBRARIES})
    find_library(LLMCTL_ARCHIVE_${name} lib${name}.a REQUIRED)
    mark_as_advanced(LLMCTL_ARCHIVE_${name})
    target_link_libraries(llmctl_grpc_static INTERFACE ${LLMCTL_ARCHIVE_${name}})
  endforeach()
  target_link_libraries(llmctl_grpc_static INTERFACE Threads::Threads)
endif()

if(LLMCTL_TRAINER)
  pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
  pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
  pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
  find_package(simdjson REQUIRED)
  if(LLMCTL_TRAINER_ENGINE)
    find_package(Torch REQUIRED) # ./dev passes Torch_DIR or CMAKE_PREFIX_PATH
  endif()
endif()
