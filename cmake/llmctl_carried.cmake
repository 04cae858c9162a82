# The trainer's small dependencies from a folder instead of the system: what bench/gpu/pack.sh put
# together on a Debian machine, for a GPU box on which nothing can be installed. The targets have
# the names that dependencies.cmake finds otherwise.
add_library(llmctl_carried INTERFACE)
target_include_directories(llmctl_carried SYSTEM INTERFACE ${LLMCTL_CARRIED}/include)

# llmctl_carried_library(target [FILE]): the headers, and a library when there is one.
function(llmctl_carried_library target)
  add_library(${target} INTERFACE IMPORTED)
  target_link_libraries(${target} INTERFACE llmctl_carried)
  foreach(file ${ARGN})
    target_link_libraries(${target} INTERFACE ${LLMCTL_CARRIED}/lib/${file})
  endforeach()
endfunction()

llmctl_carried_library(nlohmann_json::nlohmann_json)
llmctl_carried_library(simdjson::simdjson libsimdjson.so)
llmctl_carried_library(PkgConfig::PCRE2 libpcre2-8.so)
llmctl_carried_library(PkgConfig::UTF8PROC libutf8proc.so)
llmctl_carried_library(PkgConfig::XXHASH)
llmctl_carried_library(PkgConfig::ZSTD libzstd.so)
llmctl_carried_library(GTest::gtest libgtest.a)
llmctl_carried_library(GTest::gtest_main libgtest_main.a)
set_property(TARGET GTest::gtest APPEND PROPERTY INTERFACE_LINK_LIBRARIES Threads::Threads)
