#!/usr/bin/env bash
# A real result beside PyTorch's: see shakespeare.py. ./dev bench shakespeare --text FILE runs it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
python=${LLMCTL_PYTHON:-python3}
"$python" -c 'import torch' 2>/dev/null || python=.venv/bin/python
exec "$python" bench/shakespeare.py "$@"
