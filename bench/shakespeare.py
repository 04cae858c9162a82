"""Characters of Shakespeare: validation loss and time to reach it, llmctl beside PyTorch.

nanoGPT's settings for a CPU: GPT-2 of 4 layers, 4 heads, 128 wide; context 64, batch 12, 2,000
steps, AdamW 1e-3 falling to 1e-4, no dropout; the last tenth of the text is for validation. Every
byte is a token. Each engine trains in its own process, taking turns; the seconds are those of the
whole program, start and checkpoint included. Both are then scored on all of the validation text in
windows of 64. One JSON line per figure on standard output.

  bench/shakespeare.sh --text tinyshakespeare.txt [--rounds 3] [--threads N] [--steps 2000]
                       [--engines llmctl,eager,compile,muon]
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS, HEADS, WIDTH, CONTEXT, BATCH, VOCABULARY = 4, 4, 128, 64, 12, 257
RATE, WARMUP, DECAY, BETAS = 1e-3, 100, 0.1, (0.9, 0.99)
MUON_RATE = 2e-3  # its updates are scaled to be as large as those of AdamW


# ---- PyTorch

def torch_model():
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x):
            q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2)
                       for t in self.qkv(self.norm1(x)).chunk(3, -1))
            a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(a.transpose(1, 2).flatten(2))
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
            self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
            self.norm = nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
            self.head.weight = self.tokens.weight
            for name, p in self.named_parameters():
                residual = name.endswith(("out.weight", "down.weight"))
                if p.dim() == 2:
                    nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)
                elif name.endswith("bias"):
                    nn.init.zeros_(p)

        def forward(self, ids, labels):
            x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
            for block in self.blocks:
                x = block(x)
            return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), labels.flatten())

    return Model()


def rate_at(step, steps):
    if step < WARMUP:
        return RATE * (step + 1) / WARMUP
    share = (step - WARMUP) / (steps - WARMUP)
    return RATE * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share)))


def run_torch(args):
    """Trains, then prints the loss on the validation text."""
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    train, held = (torch.tensor(list(Path(args.scratch, name).read_bytes()))
                   for name in ("train.txt", "held.txt"))
    model = torch_model()
    step_model = torch.compile(model) if args.engine == "compile" else model
    groups = [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": DECAY},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, fused=True)
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, args.steps)
        starts = torch.randint(len(train) - CONTEXT - 1, (BATCH,)).tolist()
        rows = torch.stack([train[s:s + CONTEXT + 1] for s in starts])
        optimizer.zero_grad(set_to_none=True)
        step_model(rows[:, :-1], rows[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    print(json.dumps({"trained": True}), flush=True)
    count = (len(held) - 1) // CONTEXT
    ids = held[:count * CONTEXT].view(count, CONTEXT)
    labels = held[1:count * CONTEXT + 1].view(count, CONTEXT)
    with torch.no_grad():
        losses = [model(i, l).item() * len(i) for i, l in zip(ids.split(256), labels.split(256))]
    print(json.dumps({"loss": sum(losses) / count}))


def torch_turn(args, engine, seed):
    command = [sys.executable, __file__, "--text", args.text, "--engine", engine, "--scratch",
               args.scratch, "--seed", str(seed), "--steps", str(args.steps), "--threads",
               str(args.threads)]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        seconds = time.perf_counter() - begin
        loss = json.loads(child.stdout.readline())["loss"]
    return {"seconds": seconds, "loss": loss}


# ---- llmctl

def job(args, seed, optimizer):
    return {
        "name": "shakespeare", "tokenizer": "bytes", "seed": seed,
        "datasets": [{"path": str(Path(args.scratch, "train.txt"))}],
        "model": {"architecture": "gpt2", "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
                  "num_attention_heads": HEADS},
        "sequence_len": CONTEXT, "global_batch_size": BATCH, "micro_batch_size": BATCH,
        "max_steps": args.steps, "learning_rate": MUON_RATE if optimizer == "muon" else RATE,
        "optimizer": optimizer, "warmup_steps": WARMUP, "min_lr_ratio": 0.1, "weight_decay": DECAY,
        "adam_beta1": BETAS[0], "adam_beta2": BETAS[1], "gradient_checkpointing": False,
        "save_steps": args.steps // 20 if optimizer == "muon" else 0, "save_total_limit": 30,
    }


def held_loss(args, checkpoint):
    command = [str(ROOT / "build/bin/llmctl"), "eval", str(checkpoint), "--text",
               str(Path(args.scratch, "held.txt")), "--sequence-len", str(CONTEXT), "-o", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def llmctl_turn(args, seed, optimizer="adamw"):
    folder = Path(tempfile.mkdtemp(dir=args.scratch))
    plan = {"micro_batch_size": BATCH, "gradient_accumulation_steps": 1}
    config = {"job_dir": str(folder), "cache_dir": str(Path(args.scratch, "cache")),
              "threads": args.threads, "device": "cpu", "plan": plan,
              "spec": job(args, seed, optimizer)}
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    begin = time.perf_counter()
    subprocess.run([str(ROOT / "build/bin/llmctl-trainer"), "train", str(file)], check=True,
                   stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    by_step = {int(path.name.split("-s")[1]): path for path in (folder / "checkpoints").iterdir()}
    losses = {step: held_loss(args, path)["loss"] for step, path in sorted(by_step.items())}
    return {"seconds": seconds, "loss": losses[args.steps], "losses": losses}


# ---- taking turns

def compare(args):
    text = Path(args.text).read_bytes()
    split = len(text) * 9 // 10
    Path(args.scratch, "train.txt").write_bytes(text[:split])
    Path(args.scratch, "held.txt").write_bytes(text[split:])
    turns = {"llmctl": lambda seed: llmctl_turn(args, seed),
             "eager": lambda seed: torch_turn(args, "eager", seed),
             "compile": lambda seed: torch_turn(args, "compile", seed),
             "muon": lambda seed: llmctl_turn(args, seed, "muon")}
    results = {}
    for seed in range(1, args.rounds + 1):
        for name in args.engines.split(","):
            results.setdefault(name, []).append(turns[name](seed))
    common = {"bench": "shakespeare", "threads": args.threads, "rounds": args.rounds,
              "steps": args.steps}
    for name, rows in results.items():
        for figure in ("loss", "seconds"):
            values = [row[figure] for row in rows]
            print(json.dumps({**common, "engine": name, "figure": figure,
                              "value": round(statistics.median(values), 4),
                              "lowest": round(min(values), 4), "highest": round(max(values), 4)}))
    if {"muon", "llmctl"} <= results.keys():
        goal = statistics.median(row["loss"] for row in results["llmctl"])
        reached = [next((s for s, loss in row["losses"].items() if loss <= goal), None)
                   for row in results["muon"]]
        print(json.dumps({**common, "engine": "muon", "figure": "steps_to_loss_of_adamw",
                          "loss": round(goal, 4), "values": reached}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True, help="tiny Shakespeare, 1.1 MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--engines", default="llmctl,eager,compile,muon")
    parser.add_argument("--engine", choices=("eager", "compile"), help=argparse.SUPPRESS)
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        run_torch(args)
        return
    with tempfile.TemporaryDirectory() as args.scratch:
        compare(args)


if __name__ == "__main__":
    main()
