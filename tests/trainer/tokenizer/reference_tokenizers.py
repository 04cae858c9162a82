"""Tokenizers and answers of PyPI `tokenizers` for reference_tokenizer_test.cc.

  reference_tokenizers.py OUT_DIR STRINGS [TEXT FILE ...]

Trains small tokenizers of each family on the repository's own text, then writes
OUT_DIR/KIND.tokenizer.json and OUT_DIR/KIND.jsonl: {"text","ids","decoded"} for random strings of
all of Unicode, for the lines of the files and for the files as a whole.
"""

import json
import random
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPACE = "\u2581"
JOINTS = [" ", "  ", "\n", "\r\n", "'s", "'LL", " the", "12345", "\u00A0", "\t"]
ROOT = Path(__file__).resolve().parent.parent.parent


def byte_level(regex, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex is None)
    split = [] if regex is None else [pre_tokenizers.Split(Regex(regex), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split + [level]) if split else level
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer


def sentencepiece():
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(),
                                           decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def trained(kind, texts):
    if kind == "sentencepiece":
        tokenizer = sentencepiece()
        extra = ["<unk>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=3000, show_progress=False, special_tokens=extra)
    else:
        normalizer = normalizers.NFC() if kind == "qwen" else None
        digits = {"gpt2": None, "llama3": r"\p{N}{1,3}", "qwen": r"\p{N}"}[kind]
        tokenizer = byte_level(None if digits is None else WORDS + digits + REST, normalizer)
        trainer = trainers.BpeTrainer(vocab_size=3000, show_progress=False,
                                      special_tokens=["<|endoftext|>"],
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    made = json.loads(tokenizer.to_str())
    if kind == "sentencepiece":  # as published ones are: no pre-tokenizer, bytes are plain tokens
        made["pre_tokenizer"] = None
        made["added_tokens"] = made["added_tokens"][:2]
    return json.dumps(made)


def random_string(rng):
    pools = ([*range(0x20, 0x7F), 0x0A, 0x0D, 0x09], [*range(0x80, 0x3000)], None)
    text = ""
    for _ in range(rng.randrange(1, 24)):
        pool = rng.choice(pools)
        code = rng.choice(pool) if pool else rng.randrange(0x110000)
        if not 0xD800 <= code < 0xE000:
            text += chr(code)
        if rng.randrange(4) == 0:
            text += rng.choice(JOINTS)
    return text


def main():
    out, count, files = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    folders = ("docs", "core", "trainer")
    own = [p.read_text() for d in folders for p in sorted((ROOT / d).glob("*.*"))]
    rng = random.Random(11)
    strings = [random_string(rng) for _ in range(count)]
    for name in files:
        strings += Path(name).read_text().splitlines(keepends=True) + [Path(name).read_text()]
    strings += own[:8]
    for kind in ("gpt2", "llama3", "qwen", "sentencepiece"):
        file = out / f"{kind}.tokenizer.json"
        file.write_text(trained(kind, own))
        tokenizer = Tokenizer.from_file(str(file))
        with open(out / f"{kind}.jsonl", "w") as cases:
            for text in strings:
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                decoded = tokenizer.decode(ids, skip_special_tokens=False)
                cases.write(json.dumps({"text": text, "ids": ids, "decoded": decoded}) + "\n")


main()
