"""The data path beside PyPI `tokenizers`: encoding, BPE training, start of a job on cached data.

Both sides get the same tokenizer.json, text, documents (8 KiB blocks) and threads, each run in its
own process, taking turns, so that a noisy machine hits both; medians over the rounds. Loading is
not timed. One JSON line per figure on standard output.

  bench/data.sh [--rounds 5] [--threads N] [--text FILE ...] [--bin build/bin]
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
DOCUMENT_BYTES = 8 << 10
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
START_JOB = {
    "name": "start", "model": {"preset": "llama-1m"}, "sequence_len": 64, "global_batch_size": 4,
    "max_steps": 1,
}


def own_text():
    """Text that is on every machine: this repository."""
    folders = ("cli", "core", "docs", "scheduler", "tests", "trainer", "worker")
    parts = [p.read_bytes() for d in folders for p in sorted((ROOT / d).rglob("*"))
             if p.suffix in (".h", ".cc", ".md", ".py")]
    return b"\n".join(parts)


def documents(text):
    out, at = [], 0
    while at < len(text):
        end = text.find(b"\n", min(at + DOCUMENT_BYTES, len(text)))
        end = len(text) if end < 0 else end + 1
        out.append(text[at:end].decode())
        at = end
    return out


# ---- the peer: runs in a process of its own, `data.py peer …`

def new_tokenizer(kind):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "gpt2")
    tokenizer = Tokenizer(models.BPE(byte_fallback=kind == "sentencepiece"))
    tokenizer.decoder = decoders.ByteLevel()
    if kind == "gpt2":
        tokenizer.pre_tokenizer = byte_level
    elif kind == "llama3":
        split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    else:
        space = "\u2581"
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend(space), normalizers.Replace(" ", space)])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace(space, " "), decoders.ByteFallback(), decoders.Fuse(),
             decoders.Strip(" ", 1, 0)])
    return tokenizer


def learn(tokenizer, texts, vocab_size, kind="gpt2"):
    from tokenizers import pre_tokenizers, trainers
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind != "sentencepiece" else []
    extra = [f"<0x{byte:02X}>" for byte in range(256)] if kind == "sentencepiece" else []
    if kind == "sentencepiece":  # words are apart while learning, one text while encoding
        tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False,
                                  special_tokens=extra, initial_alphabet=alphabet, min_frequency=2)
    tokenizer.train_from_iterator(texts, trainer)


def make_file(kind, text, file, vocab_size):
    tokenizer = new_tokenizer(kind)
    learn(tokenizer, documents(text), vocab_size, kind)
    made = json.loads(tokenizer.to_str())
    if kind == "sentencepiece":  # the byte tokens were "special" only to be in the vocabulary
        made["added_tokens"] = []
        made["pre_tokenizer"] = None
    file.write_text(json.dumps(made))


def peer_main(args):
    from tokenizers import Tokenizer
    what, tokenizer_file, text_file, vocab_size = args
    texts = documents(Path(text_file).read_bytes())
    if what == "encode":
        tokenizer = Tokenizer.from_file(tokenizer_file)
        begin = time.perf_counter()
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        tokens = sum(len(e.ids) for e in encodings)
    else:
        tokenizer = new_tokenizer("gpt2")
        begin = time.perf_counter()
        learn(tokenizer, texts, int(vocab_size))
        tokens = tokenizer.get_vocab_size()
    print(json.dumps({"seconds": time.perf_counter() - begin, "tokens": tokens}))


# ---- taking turns

def run(command, threads):
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true")
    return json.loads(subprocess.run(command, env=env, capture_output=True, check=True).stdout)


def turns(rounds, ours, peer, threads):
    seconds = {"ours": [], "peer": []}
    answers = {}
    for _ in range(rounds):
        for side, command in (("ours", ours), ("peer", peer)):
            answers[side] = run(command, threads)
            seconds[side].append(answers[side]["seconds"])
    return {side: statistics.median(s) for side, s in seconds.items()}, answers


def bench_encode(kind, tokenizer, text_file, threads, options):
    size = Path(text_file).stat().st_size / 1e6
    ours = [f"{options.bin}/data_bench", "encode", tokenizer, str(threads), text_file]
    peer = [sys.executable, __file__, "peer", "encode", tokenizer, text_file, "0"]
    seconds, answers = turns(options.rounds, ours, peer, threads)
    return {"bench": "data", "figure": "encode", "tokenizer": kind, "threads": threads,
            "text_mb": round(size, 2), "llmctl_mb_per_s": round(size / seconds["ours"], 2),
            "tokenizers_mb_per_s": round(size / seconds["peer"], 2),
            "ratio": round(seconds["peer"] / seconds["ours"], 2),
            "same_token_count": answers["ours"]["tokens"] == answers["peer"]["tokens"]}


def bench_training(text_file, vocab_size, threads, out, options):
    ours = [f"{options.bin}/data_bench", "train", str(vocab_size), str(threads), text_file, out]
    peer = [sys.executable, __file__, "peer", "train", "-", text_file, str(vocab_size)]
    seconds, _ = turns(options.rounds, ours, peer, threads)
    return {"bench": "data", "figure": "train_bpe", "vocab_size": vocab_size, "threads": threads,
            "llmctl_s": round(seconds["ours"], 3), "tokenizers_s": round(seconds["peer"], 3),
            "ratio": round(seconds["peer"] / seconds["ours"], 2)}


def seconds_to_load(trainer):
    """What loading LibTorch costs: the program that only says its version."""
    begin = time.perf_counter()
    subprocess.run([trainer, "--version"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def seconds_to_first_step(llmctl, home, job_file, job):
    """From the start of `llmctl submit` to the first step's line in the run's report."""
    begin = time.perf_counter()
    subprocess.run([*llmctl, "submit", job_file], check=True, capture_output=True)
    while time.perf_counter() - begin < 60:
        for report in home.glob(f"workers/w1/*/{job}-e*-r0/report.jsonl"):
            if b'"type":"step"' in report.read_bytes():
                return time.perf_counter() - begin
        time.sleep(0.001)
    raise RuntimeError(f"job {job} made no step")


def bench_start(text_file, folder, options):
    """The same job again and again, in a cluster of its own."""
    trainer = f"{options.bin}/llmctl-trainer"
    if not Path(trainer).exists():
        return {"bench": "data", "figure": "start", "skipped": f"{trainer} is not built"}
    old = time.time() - 60  # files of the last seconds are not remembered
    os.utime(text_file, (old, old))
    job_file = folder / "job.yaml"
    job_file.write_text(json.dumps(dict(START_JOB, datasets=[{"path": text_file, "type": "text"}])))
    home = folder / "home"
    llmctl = ["env", f"LLMCTL_HOME={home}", f"{options.bin}/llmctl"]
    subprocess.run([*llmctl, "up", "--port", "0"], check=True, capture_output=True)
    try:
        started, load = [], []
        for turn in range(options.rounds + 1):
            time.sleep(4)  # until a spare trainer is loaded
            started.append(seconds_to_first_step(llmctl, home, str(job_file), turn + 1))
            load.append(seconds_to_load(trainer))
    finally:
        subprocess.run([*llmctl, "down"], check=True, capture_output=True)
    return {"bench": "data", "figure": "start_on_cached_data", "first_s": round(started[0], 3),
            "cached_s": round(statistics.median(started[1:]), 3),
            "highest_s": round(max(started[1:]), 3),
            "loading_libtorch_s": round(statistics.median(load), 3), "goal_s": 0.3}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--text", nargs="*", default=[])
    parser.add_argument("--bin", default=str(ROOT / "build/bin"))
    options = parser.parse_args()
    text = b"\n".join(Path(f).read_bytes() for f in options.text) or own_text()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "text.txt").write_bytes(text)
        text_file = str(folder / "text.txt")
        counts = sorted({1, options.threads})
        for kind in ("gpt2", "llama3", "sentencepiece"):
            file = folder / f"{kind}.json"
            make_file(kind, text, file, 16_000)
            for threads in counts:
                line = bench_encode(kind, str(file), text_file, threads, options)
                print(json.dumps(line), flush=True)
        for vocab_size in (4_000, 32_000):
            for threads in counts:
                out = str(folder / "trained.json")
                line = bench_training(text_file, vocab_size, threads, out, options)
                print(json.dumps(line), flush=True)
        print(json.dumps(bench_start(text_file, folder, options)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        peer_main(sys.argv[2:])
    else:
        main()
