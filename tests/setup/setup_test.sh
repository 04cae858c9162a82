#!/usr/bin/env bash
# setup_test.sh SOURCE_DIR: what a stranger's machine does to the first build, without building.
set -euo pipefail
source_dir=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "setup_test: $*" >&2
  exit 1
}

# conda puts its own protoc, pkg-config and CMake packages first in PATH, of versions that do not go
# with Debian's (grpc#8340, tkn-tub/ns3-gym#4): the build must not take them.
foreign_packages_first_in_path() {
  local tool package conda=$scratch/conda
  mkdir -p "$conda"/bin "$conda"/lib/cmake
  for tool in protoc pkg-config grpc_cpp_plugin; do
    printf '#!/bin/sh\necho "this is the %s of conda" >&2\nexit 1\n' "$tool" >"$conda/bin/$tool"
    chmod +x "$conda/bin/$tool"
  done
  for package in fmt gRPC yaml-cpp nlohmann_json simdjson GTest CLI11; do
    mkdir "$conda/lib/cmake/$package"
    echo "message(FATAL_ERROR \"this is the $package of conda\")" \
      >"$conda/lib/cmake/$package/${package}Config.cmake"
  done
  PATH=$conda/bin:$PATH cmake --preset dev -S "$source_dir" -B "$scratch/my build" \
    -DLLMCTL_TRAINER_ENGINE=OFF -DLLMCTL_TESTS=OFF >"$scratch/log" 2>&1 ||
    fail "configuring beside conda: $(tail -20 "$scratch/log")"
  ! grep -F "$conda" "$scratch/my build/build.ninja" || fail "the build takes what conda has"
}

# Parts by themselves: the control plane without a trainer (tsan), and a trainer without its engine.
parts_configure_by_themselves() {
  local options
  for options in -DLLMCTL_TRAINER=OFF -DLLMCTL_TRAINER_ENGINE=OFF; do
    cmake --preset dev -S "$source_dir" -B "$scratch/${options#-D}" "$options" \
      >"$scratch/log" 2>&1 || fail "configuring with $options: $(tail -20 "$scratch/log")"
  done
}

# A laptop with many cores and little memory (pytorch#20296, vllm#3180): as many compilers as fit.
jobs_fit_into_memory() {
  local jobs
  source "$source_dir/cmake/build_jobs.sh"
  nproc() { echo 16; }
  for case in "800000 1" "6400000 4" "64000000 16"; do
    read -r kb want <<<"$case"
    printf 'MemTotal: 99999999 kB\nMemAvailable: %s kB\n' "$kb" >"$scratch/meminfo"
    jobs=$(build_jobs "$scratch/meminfo")
    [[ $jobs == "$want" ]] || fail "$jobs compilers at once with $kb kB of memory, not $want"
  done
}

# pip unpacks gigabytes in TMPDIR, and Debian 13's /tmp is memory (pip#5816, pip#12868): into .venv.
pip_unpacks_beside_what_it_installs() {
  mkdir -p "$scratch/venv/bin"
  printf '#!/bin/sh\necho "$TMPDIR" >"%s"\n[ -d "$TMPDIR" ]\n' "$scratch/tmpdir" \
    >"$scratch/venv/bin/pip"
  chmod +x "$scratch/venv/bin/pip"
  source "$source_dir/cmake/find_torch.sh"
  TMPDIR=/tmp pip_install "$scratch/venv" torch || fail "pip's temporary folder is not there"
  [[ $(cat "$scratch/tmpdir") == "$scratch/venv/"* ]] ||
    fail "pip unpacks in $(cat "$scratch/tmpdir")"
}

foreign_packages_first_in_path
parts_configure_by_themselves
jobs_fit_into_memory
pip_unpacks_beside_what_it_installs
