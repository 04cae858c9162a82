#!/usr/bin/env bash
# Tokens/s and peak memory of llmctl-trainer beside PyTorch. ./dev bench train runs it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
python=${LLMCTL_PYTHON:-python3}
"$python" -c 'import torch' 2>/dev/null || python=.venv/bin/python
exec "$python" bench/train.py "$@"
