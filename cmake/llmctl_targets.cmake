# llmctl_library / llmctl_program / llmctl_test: one line per target, the same flags for all.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON) # TRY is a GNU statement expression
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# Headers cost more than our code does: several files of a target are compiled as one, so names in
# unnamed namespaces are a target's own. `./dev check` reads every file by itself.
set(CMAKE_UNITY_BUILD ${LLMCTL_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)

find_program(LLMCTL_CCACHE ccache)
if(LLMCTL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros ${LLMCTL_CCACHE})
endif()
find_program(LLMCTL_LLD ld.lld)
if(LLMCTL_LLD)
  add_link_options(-fuse-ld=lld)
endif()

# Release flags: optimised, line tables for stack traces, CHECK always on.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
if(LLMCTL_SANITIZE)
  add_compile_options(-fsanitize=${LLMCTL_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LLMCTL_SANITIZE})
  if(LLMCTL_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan) # asio's fences: seen by TSan as nothing, its locks are
  endif()
endif()

# Warnings are errors where CI compiles, on Debian 12. Newer compilers know other ones, some of them
# wrong, and nobody's first build shall fail of that.
set(LLMCTL_WERROR -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  set(LLMCTL_WERROR)
endif()

function(llmctl_flags target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    -Wnon-virtual-dtor ${LLMCTL_WERROR} -fstack-protector-strong)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${target} PRIVATE -Wno-gnu-statement-expression)
  endif()
  if(LLMCTL_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU") # not for ./dev check, where clang reads
    # Garbage is collected late: a seventh of the compiler's time, for a quarter more memory. And a
    # type in an unnamed namespace that several files are compiled with is not one of a header.
    target_compile_options(${target} PRIVATE "SHELL:--param ggc-min-expand=100"
      "SHELL:--param ggc-min-heapsize=786432" -Wno-subobject-linkage)
  endif()
  target_compile_definitions(${target} PRIVATE _GLIBCXX_ASSERTIONS)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

# llmctl_library(name SOURCES a.cc b.cc LINK other)
function(llmctl_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  llmctl_flags(${name})
endfunction()

function(llmctl_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  llmctl_flags(${name})
endfunction()

# For code that is mostly other people's templates and waits for a person, a network or a disk: -O2
# gains nothing there that could be seen, and costs a third more to compile.
function(llmctl_cold target)
  target_compile_options(${target} PRIVATE -O1)
endfunction()

# llmctl_test(name SOURCES a_test.cc LINK lib [LABELS slow] [PROCESSES]): one GoogleTest binary and
# ctest entry. PROCESSES: it starts real ones and waits for them, on machines of any speed; they end
# with it (tests/processes/guarded_main.cc). The timeouts end a hang, nothing else.
function(llmctl_test name)
  cmake_parse_arguments(ARG "PROCESSES" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  if(ARG_PROCESSES)
    set(main llmctl_guarded_main)
    set(timeout 7200)
  else()
    set(main GTest::gtest_main)
    set(timeout 900)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest ${main})
  target_compile_definitions(${name} PRIVATE LLMCTL_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    LLMCTL_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  target_compile_options(${name} PRIVATE -O0) # what they test is optimised; their own code is not
  llmctl_flags(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${timeout})
endfunction()

# llmctl_fuzz(name SOURCES x_fuzz.cc LINK lib): a libFuzzer target; built only with LLMCTL_FUZZ.
function(llmctl_fuzz name)
  if(NOT LLMCTL_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  llmctl_flags(${name})
endfunction()
