#!/usr/bin/env bash
# Tokenizing, BPE training and start on cached data, beside PyPI `tokenizers`.
# ./dev bench data runs it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
python=${LLMCTL_PYTHON:-python3}
"$python" -c 'import tokenizers' 2>/dev/null || python=.venv/bin/python
if ! "$python" -c 'import tokenizers' 2>/dev/null; then
  python=build/bench-venv/bin/python # the peer is no part of the product
  [[ -x $python ]] || python3 -m venv build/bench-venv
  "$python" -c 'import tokenizers' 2>/dev/null || "$python" -m pip install -q tokenizers
fi
exec "$python" bench/data.py "$@"
