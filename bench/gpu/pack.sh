#!/usr/bin/env bash
# bench/gpu/pack.sh DIR: copies the few libraries that the trainer needs besides LibTorch from this
# Debian machine into DIR (about 10 MB), so that a GPU box with nothing but torch, nvcc, CMake and
# g++ can build it: bench/gpu/run.sh DIR there, or cmake -DLLMCTL_CARRIED=DIR.
set -euo pipefail
to=${1:?usage: bench/gpu/pack.sh DIR}
mkdir -p "$to/include" "$to/lib"
cp -rL /usr/include/{nlohmann,gtest,gloo} "$to/include/"
cp -L /usr/include/{simdjson,pcre2,utf8proc,xxhash,zstd,zstd_errors}.h "$to/include/"
libs=/usr/lib/$(gcc -print-multiarch)
for name in simdjson pcre2-8 utf8proc zstd; do
  file=$(readlink -f "$libs/lib$name.so")
  soname=$(objdump -p "$file" | awk '$1 == "SONAME" { print $2 }')
  cp "$file" "$to/lib/$soname"
  ln -sf "$soname" "$to/lib/lib$name.so"
done
cp "$libs"/libgtest.a "$libs"/libgtest_main.a "$to/lib/"
du -sh "$to" >&2
