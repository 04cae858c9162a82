# For ./dev: which LibTorch the trainer is built with, and for what. find_torch and find_cuda_torch
# set what configure() hands to CMake: torch_prefix, device (cpu, cuda or empty) and cuda_site, the
# site-packages with nvcc's wheels where those are not beside torch.
torch_wanted=2.13.0
cuda_torch=(torch==2.11.0 numpy) # PyPI's, which is built with CUDA 13.0
device=
cuda_site=

# cpu or cuda: what the trainer is built for. LLMCTL_DEVICE is asked first, then the machine.
device_here() {
  if [[ -n ${LLMCTL_DEVICE:-} ]]; then
    echo "$LLMCTL_DEVICE"
  elif [[ -e /dev/nvidiactl ]] || nvidia-smi -L >/dev/null 2>&1; then
    echo cuda
  else
    echo cpu
  fi
}

# pip_install VENV PACKAGES: a download of gigabytes shows its progress, where somebody sees it.
# It unpacks beside what it installs: a /tmp in memory is too small.
pip_install() {
  local quiet=(-q) status=0
  [[ ! -t 1 ]] || quiet=()
  mkdir -p "$1/tmp"
  TMPDIR=$(realpath "$1/tmp") "$1/bin/pip" install "${quiet[@]}" "${@:2}" || status=$?
  rm -rf "$1/tmp"
  return "$status"
}

# Of a torch 2.11-2.13 that this Python can import: its CMake prefix, its version, that of its CUDA
# ("none": a CPU build) and its site-packages, a line each.
describe_torch() {
  "$1" - <<'PY' 2>/dev/null
import os, sys, torch
if torch.__version__.split(".")[:2] not in (["2", "11"], ["2", "12"], ["2", "13"]): sys.exit(1)
site = os.path.dirname(os.path.dirname(torch.__file__))
cuda = torch.version.cuda or "none"
print(torch.utils.cmake_prefix_path, torch.__version__, cuda, site, sep="\n")
PY
}

# Takes the torch of a Python, if it has one. Sets torch_prefix for CMake and LLMCTL_PYTHON for
# tests that compare with PyTorch.
use_torch() {
  local found
  found=$(describe_torch "$1") || return 1
  { read -r torch_prefix && read -r torch_version && read -r torch_cuda && read -r torch_site; } \
    <<<"$found"
  export LLMCTL_PYTHON=$1
}

# LibTorch, in this order: $Torch_DIR / $LIBTORCH, an importable torch, else .venv (made on demand).
# With an NVIDIA GPU it is a CUDA build.
find_torch() {
  local device_named=${LLMCTL_DEVICE:-}
  device=$(device_here)
  if [[ -n ${Torch_DIR:-} || -n ${LIBTORCH:-} ]]; then
    torch_prefix=${LIBTORCH:-}
    [[ -z ${Torch_DIR:-} ]] || torch_prefix=$(dirname "$Torch_DIR")
    [[ $device == cpu || -n $device_named ]] || device= # a GPU: CMake sees whether this torch can
    export LLMCTL_PYTHON=${LLMCTL_PYTHON:-python3}
    say "LibTorch of ${Torch_DIR:-$LIBTORCH}"
    return
  fi
  case $device in
    cpu) find_any_torch ;;
    cuda) find_cuda_torch .venv ;;
    *) fail "LLMCTL_DEVICE=$device: say cpu or cuda" ;;
  esac
  tell_torch "$device_named"
}

tell_torch() { # DEVICE_NAMED: says what the trainer is built with, and why
  local build="a CUDA build" here="no NVIDIA GPU here" target="the CPU"
  [[ $torch_cuda != none ]] || build="a CPU build"
  [[ $device == cpu ]] || here="an NVIDIA GPU here" target="CPU and CUDA"
  [[ -z $1 ]] || here="LLMCTL_DEVICE=$1"
  say "torch $torch_version ($build), $here: the trainer is built for $target"
}

find_any_torch() {
  if use_torch "${LLMCTL_PYTHON:-python3}" || use_torch "$PWD/.venv/bin/python"; then return; fi
  say "installing torch $torch_wanted into .venv"
  python3 -m venv .venv
  pip_install .venv "torch==$torch_wanted"
  use_torch "$PWD/.venv/bin/python" || fail "the torch in .venv cannot be imported"
}

# A CUDA build of torch and an nvcc for it; what is missing comes into the venv $1.
find_cuda_torch() {
  local python
  cuda_site=
  for python in "${LLMCTL_PYTHON:-python3}" "$PWD/$1/bin/python"; do
    if use_torch "$python" && [[ $torch_cuda != none ]] && find_nvcc "$1"; then return; fi
  done
  say "installing ${cuda_torch[*]} for CUDA into $1, about 5 GB;" \
    "LLMCTL_DEVICE=cpu does without"
  python3 -m venv "$1"
  pip_install "$1" "${cuda_torch[@]}"
  use_torch "$PWD/$1/bin/python" && [[ $torch_cuda != none ]] && find_nvcc "$1" ||
    fail "there is no CUDA build of torch with an nvcc in $1"
}

# An nvcc of torch's CUDA version: beside torch, else of this machine, else from wheels into the
# venv $1. Wheels have one since CUDA 13.
find_nvcc() {
  ls "$torch_site"/nvidia/cu[0-9]*/bin/nvcc >/dev/null 2>&1 && return
  PATH=${CUDA_HOME:-/usr/local/cuda}/bin:$PATH nvcc --version 2>/dev/null |
    grep -q "release $torch_cuda," && return
  ((${torch_cuda%%.*} >= 13)) || return 1
  [[ -x $1/bin/pip ]] || python3 -m venv "$1"
  cuda_site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  [[ $cuda_site != "$torch_site" ]] || cuda_site=
  local wheels=() part
  for part in cuda-nvcc cuda-crt cuda-cccl nvvm; do wheels+=("nvidia-$part==$torch_cuda.*"); done
  [[ $(cat "$1/nvcc" 2>/dev/null) != "$torch_cuda" ]] || return 0
  say "installing nvcc $torch_cuda into $1"
  pip_install "$1" "${wheels[@]}" || fail "nvcc $torch_cuda did not come into $1"
  echo "$torch_cuda" >"$1/nvcc"
}
