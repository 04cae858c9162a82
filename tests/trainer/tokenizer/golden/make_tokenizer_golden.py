"""Rewrites the golden files of parity_test.cc with PyPI `tokenizers`, the reference.

Run from the repository root: python tests/trainer/tokenizer/golden/make_tokenizer_golden.py
Needs `pip install tokenizers` and the texts in ../shared/data; the tests need neither.
"""

import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
DATA = pathlib.Path("../shared/data")
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
# Code points that have kept their properties since Unicode 10, so that every library agrees.
RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0x61, 0x7A), (0x30, 0x39),
    (0xA1, 0x17F), (0x300, 0x36F), (0x391, 0x3A1), (0x3B1, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA),
    (0x627, 0x64A), (0x660, 0x669), (0x905, 0x939), (0xE01, 0xE3A), (0x1100, 0x1112),
    (0x180E, 0x180E), (0x2000, 0x200D), (0x2010, 0x2027), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x2160, 0x2188), (0x3000, 0x3002), (0x3041, 0x3096), (0x4E00, 0x4EFF), (0xAC00, 0xACFF),
    (0xFB00, 0xFB06), (0xFF10, 0xFF19), (0x1D400, 0x1D42F), (0x1F600, 0x1F64F), (0x20000, 0x2003F),
]
PIECES = [
    " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\t\t", "'s", "'LL", "'ſ", "n't", "<|endoftext|>",
    "<|end", "</s>", "</s>  ", " the", "The", "tokens", "123456", "-1.5e3", "\u00a0", "\x0b", "\x85",
    "\x00", "\u2581", "e\u0301", "<0x41>", "[MASK]", " [MASK] ", "x[WORD]y", " [WORD] ",
]


def random_text(rng):
    text = ""
    for _ in range(rng.randint(0, 30)):
        if rng.random() < 0.45:
            text += rng.choice(PIECES)
        else:
            low, high = rng.choice(RANGES)
            text += "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 5)))
    return text


def byte_level(steps, normalizer=None, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = steps
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train([str(DATA / "wikitext2-valid.txt")], trainer)
    return tokenizer


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentencepiece(metaspace):
    """A Llama-2-like file: merges over characters, bytes for what the vocabulary lacks."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=500, limit_alphabet=90, show_progress=False,
                                  special_tokens=["<unk>", "<s>", "</s>"])
    tokenizer.train([str(DATA / "wikitext2-valid.txt")], trainer)
    document = json.loads(tokenizer.to_str())
    vocab = document["model"]["vocab"]
    for byte in range(256):
        vocab[f"<0x{byte:02X}>"] = len(vocab)
    document["model"]["byte_fallback"] = True
    fallback = [{"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    replace = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    document["decoder"] = {"type": "Sequence", "decoders": [replace, *fallback]}
    if metaspace:
        document["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁",
                                     "prepend_scheme": "first", "split": False}
    else:
        document["pre_tokenizer"] = None
        document["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    document["added_tokens"][2].update(rstrip=True)
    size = len(vocab)
    for i, (content, extra) in enumerate([("[MASK]", {"lstrip": True}),
                                          ("[WORD]", {"single_word": True}),
                                          ("the the", {"normalized": True})]):
        document["added_tokens"].append({
            "id": size + i, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": True, **extra})
    return Tokenizer.from_str(json.dumps(document))


def fnv1a(ids):
    value = 0xCBF29CE484222325
    for one in ids:
        for byte in one.to_bytes(4, "little"):
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def main():
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    small = {
        "gpt2": byte_level(gpt2),
        "gpt2_prefix_space": byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "llama3": byte_level(split(LLAMA3), ignore_merges=True),
        "qwen": byte_level(split(QWEN), normalizer=normalizers.NFC()),
        "digits": byte_level(pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), gpt2])),
        "sentencepiece": sentencepiece(metaspace=False),
        "metaspace": sentencepiece(metaspace=True),
    }
    rng = random.Random(20)
    for name, tokenizer in small.items():
        (HERE / f"{name}.tokenizer.json").write_text(
            json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False), encoding="utf-8")
    large = {f.name: Tokenizer.from_file(str(f)) for f in sorted(DATA.glob("tokenizers/*.json"))}
    cases = []
    for name, tokenizer in {**small, **large}.items():
        for _ in range(60):
            text = random_text(rng)
            ids = encode(tokenizer, text)
            case = {"tokenizer": name, "text": text, "ids": ids}
            decoded = tokenizer.decode(ids, skip_special_tokens=False)
            if decoded != text:
                case["decoded"] = decoded
            cases.append(case)
    with open(HERE / "tokenizer_cases.jsonl", "w", encoding="utf-8") as out:
        for case in cases:
            out.write(json.dumps(case, separators=(",", ":"), ensure_ascii=False) + "\n")
    whole = []
    for name, tokenizer in {**small, **large}.items():
        for file in sorted(DATA.glob("*.txt")) + sorted(DATA.glob("gsm8k-test.jsonl")):
            ids = encode(tokenizer, file.read_bytes().decode("utf-8"))
            whole.append({"tokenizer": name, "file": file.name, "count": len(ids),
                          "fnv1a": str(fnv1a(ids))})
    (HERE / "tokenizer_files.json").write_text(json.dumps(whole, indent=0) + "\n")


if __name__ == "__main__":
    main()
