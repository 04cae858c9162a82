"""Training speed: llmctl-trainer, PyTorch eager (fused AdamW) and torch.compile.

The same model, text, batch and threads; each engine in its own process, taking turns, so that a
noisy machine hits all of them; medians over the rounds. So does what large fp32 products alone
reach over the same time, PyTorch's and ours (bench/gemm_bench.cc): shares are of the higher peak.
One JSON line per figure on standard output.

  bench/train.sh [--size all|small|small-50k|medium|medium-50k|grouped|large|gpt2] [--rounds 5]
                 [--seconds 8] [--threads N] [--device cpu|cuda] [--engines llmctl,eager,compile]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = {  # layers, hidden, heads, kv heads, vocabulary, sequence, batch
    "small": (4, 128, 4, 2, 512, 64, 12),  # 1M parameters
    "small-50k": (4, 128, 4, 4, 50304, 64, 12),  # 7M
    "medium": (6, 384, 6, 6, 512, 256, 16),  # 11M
    "medium-50k": (6, 384, 6, 6, 50304, 256, 4),  # 30M
    "grouped": (8, 512, 8, 2, 32000, 512, 2),  # 38M, four query heads to a key
    "large": (12, 768, 12, 12, 50304, 256, 4),  # 124M
    "gpt2": (12, 768, 12, 12, 50304, 1024, 16),  # 124M, a batch for a GPU
}
ALL = [size for size in SIZES if size != "gpt2"]


def shape(size):
    layers, hidden, heads, kv, vocab, sequence, batch = SIZES[size]
    intermediate = (hidden * 8 // 3 + 63) // 64 * 64
    return dict(layers=layers, hidden=hidden, heads=heads, kv=kv, vocab=vocab, sequence=sequence,
                batch=batch, intermediate=intermediate)


def flops_per_token(s):
    dim = s["hidden"] // s["heads"]
    block = s["hidden"] * (2 * s["heads"] + 2 * s["kv"]) * dim + 3 * s["hidden"] * s["intermediate"]
    weights = s["layers"] * block + s["vocab"] * s["hidden"]
    return 6 * weights + 6 * s["layers"] * s["hidden"] * s["sequence"]


def text():
    """Text that is on every machine: this repository."""
    parts = [p.read_bytes() for d in ("core", "trainer", "docs")
             for p in sorted((ROOT / d).iterdir())
             if p.suffix in (".h", ".cc", ".md")]
    return b"\n".join(parts)


# ---- the engines: each prints or yields tokens/s and peak bytes of its process

def torch_model(s):
    import torch
    from torch import nn
    from torch.nn import functional as F

    dim = s["hidden"] // s["heads"]
    angle = torch.outer(torch.arange(s["sequence"]), 10000.0 ** (-torch.arange(0, dim, 2) / dim))
    cos, sin = angle.cos(), angle.sin()

    def rotate(x):
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.RMSNorm(s["hidden"]), nn.RMSNorm(s["hidden"])
            self.q = nn.Linear(s["hidden"], s["heads"] * dim, bias=False)
            self.k = nn.Linear(s["hidden"], s["kv"] * dim, bias=False)
            self.v = nn.Linear(s["hidden"], s["kv"] * dim, bias=False)
            self.o = nn.Linear(s["heads"] * dim, s["hidden"], bias=False)
            self.gate = nn.Linear(s["hidden"], s["intermediate"], bias=False)
            self.up = nn.Linear(s["hidden"], s["intermediate"], bias=False)
            self.down = nn.Linear(s["intermediate"], s["hidden"], bias=False)

        def forward(self, x):
            h = self.norm1(x)
            q, k, v = (p(h).unflatten(-1, (-1, dim)).transpose(1, 2)
                       for p in (self.q, self.k, self.v))
            a = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True,
                                               enable_gqa=s["heads"] != s["kv"])
            x = x + self.o(a.transpose(1, 2).flatten(2))
            h = self.norm2(x)
            return x + self.down(F.silu(self.gate(h)) * self.up(h))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(s["vocab"], s["hidden"])
            self.blocks = nn.ModuleList(Block() for _ in range(s["layers"]))
            self.norm = nn.RMSNorm(s["hidden"])
            self.head = nn.Linear(s["hidden"], s["vocab"], bias=False)
            self.head.weight = self.embedding.weight
            for p in self.parameters():
                if p.dim() == 2:
                    nn.init.normal_(p, std=0.02)

        def forward(self, ids, labels):
            x = self.embedding(ids)
            for block in self.blocks:
                x = block(x)
            logits = self.head(self.norm(x))
            return F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    return Model()


def run_torch(args):
    import resource

    import torch

    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    s = shape(args.size)
    model = torch_model(s)
    step_model = torch.compile(model) if args.engine == "compile" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1,
                                  fused=True)
    data = torch.tensor(list(text()), dtype=torch.long)
    length, batch = s["sequence"], s["batch"]

    def step(index):
        rows = [(index * batch + i) * length % (len(data) - length - 1) for i in range(batch)]
        ids = torch.stack([data[r:r + length] for r in rows])
        labels = torch.stack([data[r + 1:r + length + 1] for r in rows])
        optimizer.zero_grad(set_to_none=True)
        loss = step_model(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    for i in range(3):
        step(i)
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < args.seconds or steps < 3:
        step(3 + steps)
        steps += 1
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"tokens_per_second": steps * batch * length / seconds, "rss_bytes": peak}
    if args.device != "cpu":
        figures["peak_bytes"] = torch.cuda.max_memory_reserved()
    print(json.dumps(figures))


def run_gemm(args):
    import torch

    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    wait = torch.cuda.synchronize if args.device != "cpu" else lambda: None
    sizes = (768, 1024, 2048) if args.device == "cpu" else (8192,)
    best = 0
    for n in sizes:
        a, b = torch.rand(n, n), torch.rand(n, n)
        torch.mm(a, b)
        wait()
        products, seconds, begin = 0, 0, time.perf_counter()
        while seconds < args.seconds / len(sizes):
            torch.mm(a, b)
            wait()
            products, seconds = products + 1, time.perf_counter() - begin
        best = max(best, 2 * n**3 * products / seconds)
    print(json.dumps({"flops": best}))


def run_llmctl(args, directory):
    s = shape(args.size)
    data = directory / "text.txt"
    data.write_bytes(text())
    job = directory / f"job-{time.monotonic_ns()}"
    job.mkdir()
    plan = {"micro_batch_size": s["batch"], "gradient_accumulation_steps": 1}
    config = {
        "job_dir": str(job), "cache_dir": str(directory / "cache"), "threads": args.threads,
        "plan": plan, "device": args.device,
        "spec": {
            "name": "bench", "datasets": [{"path": str(data)}], "tokenizer": "bytes",
            "model": {"vocab_size": s["vocab"], "hidden_size": s["hidden"],
                      "intermediate_size": s["intermediate"], "num_hidden_layers": s["layers"],
                      "num_attention_heads": s["heads"], "num_key_value_heads": s["kv"]},
            "sequence_len": s["sequence"], "global_batch_size": s["batch"],
            "micro_batch_size": s["batch"], "max_steps": 1_000_000,  # ended from here
            "lr_scheduler": "constant",
        },
    }
    file = job / "config.json"
    file.write_text(json.dumps(config))
    child = subprocess.Popen([args.trainer, "train", str(file)], stdout=subprocess.PIPE, text=True)
    first = last = None
    peak = lines = 0
    for line in child.stdout:
        now, report = time.perf_counter(), json.loads(line)
        if report["type"] == "memory":
            peak = report["peak_bytes"]
        if report["type"] != "step" or report["step"] <= 3:
            continue
        first, last, lines = first or (now, report["tokens"]), (now, report["tokens"]), lines + 1
        if lines > 3 and now - first[0] >= args.seconds:
            child.kill()
            break
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    if lines <= 3:
        sys.exit("llmctl-trainer did not train")
    speed = (last[1] - first[1]) / (last[0] - first[0])
    return {"tokens_per_second": speed, "rss_bytes": usage.ru_maxrss * 1024, "peak_bytes": peak}


def run_gemm_bench(args):
    program = Path(args.trainer).parent / "gemm_bench"
    command = [program, str(args.threads), str(args.seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["flops"]


# ---- taking turns

def device_name(args):
    import torch

    return "cpu" if args.device == "cpu" else torch.cuda.get_device_name(args.device)


def child(args, engine):
    command = [sys.executable, __file__, "--engine", engine, "--size", args.size, "--seconds",
               str(args.seconds), "--threads", str(args.threads), "--device", args.device]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(args):
    """One size; see the head of this file."""
    import torch

    results, gemm = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(args.rounds):
            gemm.setdefault("pytorch", []).append(child(args, "gemm")["flops"])
            if args.device == "cpu":  # on a GPU both multiply by cuBLAS
                gemm.setdefault("llmctl", []).append(run_gemm_bench(args))
            turns = {"llmctl": lambda: run_llmctl(args, Path(scratch)),
                     "pytorch-eager": lambda: child(args, "eager"),
                     "pytorch-compile": lambda: child(args, "compile")}
            for name, turn in turns.items():
                if name.removeprefix("pytorch-") in args.engines.split(","):
                    results.setdefault(name, []).append(turn())
    s = shape(args.size)
    common = {"bench": "train", "size": args.size, **s, "threads": args.threads,
              "rounds": args.rounds, "torch": torch.__version__, "device": device_name(args)}
    for name, flops in gemm.items():
        print(json.dumps({**common, "engine": name, "figure": "gemm_flops",
                          "value": round(statistics.median(flops))}))
    peak = max(gemm.values(), key=statistics.median)
    for name, rows in results.items():
        speed = statistics.median(r["tokens_per_second"] for r in rows)
        share = statistics.median(r["tokens_per_second"] * flops_per_token(s) / flops
                                  for r, flops in zip(rows, peak))
        line = {**common, "engine": name}
        print(json.dumps({**line, "figure": "tokens_per_second", "value": round(speed, 1),
                          "lowest": round(min(r["tokens_per_second"] for r in rows), 1),
                          "highest": round(max(r["tokens_per_second"] for r in rows), 1),
                          "share_of_gemm_peak": round(share, 3)}))
        print(json.dumps({**line, "figure": "peak_rss_bytes",
                          "value": max(r["rss_bytes"] for r in rows)}))
        if "peak_bytes" in rows[0]:
            print(json.dumps({**line, "figure": "peak_tensor_bytes",
                              "value": max(r["peak_bytes"] for r in rows)}))
    print_ratios(common, results)


def print_ratios(common, results):
    """llmctl beside the better of PyTorch's engines: speed, and peak memory of the process.

    Speeds are divided round by round, since a noisy machine drifts: what ran one after the other
    ran on the same machine. The median of those, of the peer against which it is lower.
    """
    peers = [rows for name, rows in results.items() if name != "llmctl"]
    if not peers or "llmctl" not in results:
        return
    ours = results["llmctl"]
    speed = [statistics.median(a["tokens_per_second"] / b["tokens_per_second"]
                               for a, b in zip(ours, rows)) for rows in peers]
    peak = [max(r["rss_bytes"] for r in rows) for rows in (ours, *peers)]
    print(json.dumps({**common, "figure": "speed_ratio", "value": round(min(speed), 3)}))
    print(json.dumps({**common, "figure": "memory_ratio", "value": round(peak[0] / min(peak[1:]), 3)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=[*SIZES, "all"], default="medium")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--engines", default="llmctl,eager,compile")
    parser.add_argument("--trainer", default=str(ROOT / "build/bin/llmctl-trainer"))
    parser.add_argument("--engine", choices=("gemm", "eager", "compile"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine == "gemm":
        run_gemm(args)
    elif args.engine:
        run_torch(args)
    else:
        for args.size in ALL if args.size == "all" else [args.size]:
            compare(args)


if __name__ == "__main__":
    main()
