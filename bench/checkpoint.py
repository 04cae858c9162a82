"""How long training waits for a checkpoint: written from a copy, and waited for to the end.

The same job both ways, taking turns. One JSON line per figure on standard output: the median of
the seconds that training waited, and the bytes of a checkpoint.

  bench/checkpoint.sh [--trainer PATH] [--rounds 3] [--checkpoints 8] [--threads N]
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(args, scratch, in_background):
    data = scratch / "text.txt"
    data.write_bytes(b"\n".join(p.read_bytes() for p in sorted((ROOT / "trainer").iterdir())
                                if p.suffix in (".h", ".cc")))
    job = Path(tempfile.mkdtemp(dir=scratch))
    steps = 4 * args.checkpoints
    config = {
        "job_dir": str(job), "cache_dir": str(scratch / "cache"), "threads": args.threads,
        "plan": {"micro_batch_size": 8, "gradient_accumulation_steps": 1},
        "spec": {
            "name": "bench", "datasets": [{"path": str(data)}], "tokenizer": "bytes",
            "model": {"preset": "llama-20m"}, "sequence_len": 64, "global_batch_size": 8,
            "micro_batch_size": 8, "max_steps": steps + 1, "save_steps": 4,
            "async_checkpoints": in_background,
        },
    }
    (job / "config.json").write_text(json.dumps(config))
    out = subprocess.run([args.trainer, "train", str(job / "config.json")], check=True,
                         capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    saved = [line for line in lines if line["type"] == "checkpoint"]
    return [line["seconds"] for line in saved[:-1]], saved[0]["bytes"]  # the last one is waited for


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainer", default=str(ROOT / "build" / "bin" / "llmctl-trainer"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoints", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    waited = {True: [], False: []}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(args.rounds):
            for in_background in (True, False):
                seconds, size = run(args, Path(scratch), in_background)
                waited[in_background] += seconds
    for in_background, seconds in waited.items():
        print(json.dumps({"bench": "checkpoint", "in_background": in_background, "bytes": size,
                          "figure": "seconds_waited", "value": round(statistics.median(seconds), 4),
                          "highest": round(max(seconds), 4)}))


main()
