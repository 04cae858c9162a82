#!/usr/bin/env bash
# bench/gpu/run.sh CARRIED [OUT.json]: on a machine with a GPU, a CUDA build of torch, nvcc, CMake
# and g++, and no network. CARRIED comes from bench/gpu/pack.sh. Builds the trainer and its tests,
# proves that the GPU computes what the CPU computes, then measures tokens/s beside PyTorch eager in
# turns. Everything lands in one JSON file. LLMCTL_SIZES and LLMCTL_SECONDS choose what is measured.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
carried=$(realpath "${1:?usage: bench/gpu/run.sh CARRIED [OUT.json]}")
out=${2:-build-gpu/gpu.json}
python=${LLMCTL_PYTHON:-python3}
torch=$("$python" -c 'import torch; print(torch.utils.cmake_prefix_path)')
generator=()
command -v ninja >/dev/null && generator=(-G Ninja)

cmake -S . -B build-gpu "${generator[@]}" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DLLMCTL_CONTROL_PLANE=OFF -DLLMCTL_CARRIED="$carried" -DLLMCTL_DEVICE=cuda \
  -DCMAKE_PREFIX_PATH="$torch" >build-gpu.log
cmake --build build-gpu -j "$(nproc)" \
  --target llmctl-trainer llmctl_engine_tests llmctl_gpu_tests >>build-gpu.log
mv build-gpu.log build-gpu/build.log

failed=0
for tests in llmctl_gpu_tests llmctl_engine_tests; do
  "build-gpu/bin/$tests" --gtest_brief=1 --gtest_output="json:build-gpu/$tests.json" || failed=1
done
: >build-gpu/speed.jsonl
for size in ${LLMCTL_SIZES:-small gpt2}; do
  "$python" bench/train.py --device cuda --size "$size" --engines llmctl,eager --rounds 3 \
    --seconds "${LLMCTL_SECONDS:-8}" --trainer build-gpu/bin/llmctl-trainer >>build-gpu/speed.jsonl
done

"$python" - "$out" <<'PY'
import json, sys
from pathlib import Path

build = Path("build-gpu")
result = {"speed": [json.loads(line) for line in (build / "speed.jsonl").open()], "tests": {}}
for name in ("llmctl_gpu_tests", "llmctl_engine_tests"):
    for suite in json.loads((build / f"{name}.json").read_text())["testsuites"]:
        for test in suite["testsuite"]:
            said = "failed" if "failures" in test else test["result"].lower()
            result["tests"][f"{suite['name']}.{test['name']}"] = said
Path(sys.argv[1]).write_text(json.dumps(result, indent=1) + "\n")
PY
cat "$out"
exit $failed
