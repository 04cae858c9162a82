#!/usr/bin/env bash
# How long training waits for checkpoints. ./dev bench checkpoint runs it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
exec "${LLMCTL_PYTHON:-python3}" bench/checkpoint.py "$@"
