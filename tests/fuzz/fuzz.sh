#!/usr/bin/env bash
# fuzz.sh TARGET [SECONDS | keep]: fuzzes a built target in build-fuzz/corpus/TARGET, where its
# archive corpus/TARGET.tar.xz is unpacked. `keep` writes the archive anew: the fewest inputs that
# reach together what all do, and every input with a name of its own, which is a seed or was a
# finding. The same inputs give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$1 what=${2:-600}
run=("build-fuzz/bin/${target}_fuzz" -timeout=10 "-artifact_prefix=build-fuzz/$target-")
archive=tests/fuzz/corpus/$target.tar.xz inputs=build-fuzz/corpus/$target

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 # else it prints, and fuzzing goes on

mkdir -p "$inputs"
if [[ $archive -nt $inputs.unpacked ]]; then
  tar -xf "$archive" -C "$inputs"
  touch "$inputs.unpacked"
fi

if [[ $what != keep ]]; then
  "${run[@]}" -max_total_time="$what" "$inputs" || {
    echo "a finding: once mended, copy it to $inputs/A_NAME_OF_ITS_OWN" >&2
    echo "and run ./dev fuzz $target keep" >&2
    exit 1
  }
  echo "to keep what was reached: ./dev fuzz $target keep" >&2
  exit
fi

kept=$inputs.kept
named() { find "$1" -type f -regextype egrep ! -regex '.*/[0-9a-f]{40}' "${@:2}"; }
rm -rf "$kept" && mkdir "$kept"
named "$inputs" -exec cp -t "$kept" {} +
"${run[@]}" -set_cover_merge=1 -max_len=16384 "$kept" "$inputs"
named "$kept" -exec sha1sum {} + | (cd "$kept" && cut -c1-40 | xargs rm -f) # seeds kept twice
(cd "$kept" && LC_ALL=C ls) | tar -C "$kept" -cT - --format=ustar --mode=644 --mtime=@0 \
  --owner=0 --group=0 --numeric-owner | xz -9e -T1 >"$archive"
rm -rf "$inputs" && mv "$kept" "$inputs"
touch "$inputs.unpacked"
