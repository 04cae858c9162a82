"""Every part of a tokenizer.json that a BPE or Unigram file may use, with the answers of PyPI
`tokenizers`, for reference_tokenizer_test.cc.

  reference_components.py OUT_DIR STRINGS [tokenizer.json ...]

Writes OUT_DIR/NAME.tokenizer.json and OUT_DIR/NAME.jsonl as reference_tokenizers.py does: one
tokenizer for each normalizer, pre-tokenizer, behavior, decoder and model, and the given files.
"""

import json
import random
import struct
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SPACE = "\u2581"
SPLIT = pre_tokenizers.Split
BEHAVIORS = ["removed", "isolated", "contiguous", "merged_with_previous", "merged_with_next"]
# What tells implementations apart.
PIECES = [" ", "  ", "\n", "\r\n", "\t", "\u00A0", "\u3000", "\u2028", "'s", "'LL", "it's", ",", "...",
          "!?", "-", "_", "$", "+", "12", "1234567", "²", "½", "٣", "Ⅷ", "e\u0301", "é", "É", "İ", "ß",
          "ﬁ", "ＡＢ", "漢字", "かな", "カナー", "한글", "ไทย", "б", "Σ", "ς", "\u200D", "\u200C", "\u0301",
          "😀", "👨\u200D👩\u200D👧", "\U0001F775", "\U0001F8B5", "\U0001F7FD", "\u1C89", "\U00010D40",
          "<unk>", "</w>", "##", SPACE, SPACE * 2, "the", "The", " the", "un", "ing", "\x01", "\x7f",
          "\ufffd", "\u0897", "\u0890", "\U00011DE0", "aaa", "x" * 20]


def random_string(rng):
    text = ""
    for _ in range(rng.randrange(0, 16)):
        if rng.randrange(4):
            text += rng.choice(PIECES)
        else:
            code = rng.randrange(rng.choice([0x80, 0x3000, 0x110000]))
            text += "" if 0xD800 <= code < 0xE000 else chr(code)
    return text


def charsmap(mapping):
    """A SentencePiece character map: a Darts double array over UTF-8, and the replacements."""
    texts, values = b"", {}
    for key, text in mapping.items():
        values[key.encode()] = len(texts)
        texts += text.encode() + b"\0"
    units, taken = [0] * 4096, {0}

    def place(index, prefix):
        labels = sorted({k[len(prefix)] if len(k) > len(prefix) else 0
                         for k in values if k.startswith(prefix)})
        offset = next(o for o in range(1, 4096)
                      if all((index ^ o ^ c) < 4096 and (index ^ o ^ c) not in taken for c in labels))
        taken.update(index ^ offset ^ c for c in labels)
        units[index] |= offset << 10 | (256 if 0 in labels else 0)
        for c in labels:
            child = index ^ offset ^ c
            if c == 0:
                units[child] = values[prefix] | 1 << 31
            else:
                units[child] = c
                place(child, prefix + bytes([c]))

    place(0, b"")
    trie = struct.pack("<4096I", *units)
    return struct.pack("<I", len(trie)) + trie + texts


def byte_level(pre_tokenizer=None, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre_tokenizer is None)
    tokenizer.pre_tokenizer = (level if pre_tokenizer is None
                               else pre_tokenizers.Sequence([*pre_tokenizer, level]))
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    return tokenizer, trainers.BpeTrainer(vocab_size=600, show_progress=False,
                                          initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def by_characters(pre_tokenizer, decoder, normalizer=None, train=None, **options):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **options))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoder
    if normalizer:
        tokenizer.normalizer = normalizer
    return tokenizer, trainers.BpeTrainer(vocab_size=700, show_progress=False,
                                          special_tokens=["<unk>"], **(train or {}))


def unigram(pre_tokenizer, decoder, normalizer=None):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoder
    if normalizer:
        tokenizer.normalizer = normalizer
    return tokenizer, trainers.UnigramTrainer(vocab_size=500, show_progress=False,
                                              special_tokens=["<unk>"], unk_token="<unk>")


def with_byte_tokens(text):
    """Adds a token for each byte, as SentencePiece does, and one that appears twice."""
    file = json.loads(text)
    file["model"]["byte_fallback"] = True
    file["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    file["model"]["vocab"] += [["the", -3.0], ["the", -2.5]]
    return json.dumps(file)


def with_empty_token(text):
    file = json.loads(text)
    file["model"]["vocab"][""] = len(file["model"]["vocab"])
    return json.dumps(file)


def pre_tokenized():
    """By name: steps before ByteLevel."""
    made = {f"split_{b}{'_inverted' if i else ''}": [SPLIT(Regex(r"\s|[aeiou]+"), b, i)]
            for b in BEHAVIORS for i in (False, True)}
    made |= {f"literal_{b}": [SPLIT(" ", b)] for b in BEHAVIORS}
    made |= {f"punctuation_{b}": [pre_tokenizers.Punctuation(b)] for b in BEHAVIORS}
    made |= {
        "digits": [pre_tokenizers.Digits(False)], "single_digits": [pre_tokenizers.Digits(True)],
        "whitespace": [pre_tokenizers.Whitespace()],
        "whitespace_split": [pre_tokenizers.WhitespaceSplit()],
        "bert": [pre_tokenizers.BertPreTokenizer()],
        "delimiter": [pre_tokenizers.CharDelimiterSplit("-")],
        "fixed_length": [pre_tokenizers.FixedLength(length=3)],
        "scripts": [pre_tokenizers.UnicodeScripts()],
        "deepseek": [SPLIT(Regex(r"\p{N}{1,3}"), "isolated"),
                     SPLIT(Regex("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), "isolated"),
                     SPLIT(Regex(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"
                                 r"[^" "\r\n" r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+["
                                 "\r\n" r"]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated")],
        "gpt4o": [SPLIT(Regex(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
            r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "removed", True)],
        "bloom": [SPLIT(Regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "isolated")],
    }
    # Where Oniguruma and PCRE2 read a pattern in different ways.
    for i, pattern in enumerate([
            r"(?=\d{3}+\b)", r"\b", r"\B", r"\p{N}{1,3}+", r"a{,2}b?", r"a{2}?", r"[\p{Han}\p{Hiragana}]+",
            r"\p{^L}", r"\P{L}+", r"[^\P{L}]", r"[[:alpha:][:digit:]]+", r"[[:^space:]&&[^a-z]]+",
            r"[a-z&&[^aeiou]]+", r"(?i)the|of", r"x(?i)y|THE", r"\h+", r"\H", r"(?m:.)", r".", r"\w+|\W",
            r"\D+", r"[\w\s]+", r"[\S]", r"\u0301|\x{e9}", r"(?<q>['\"]).*?\k<q>", r"^\s*|\s*$", r"[]a]+",
            r"\p{Uppercase_Letter}|\p{Sc}", r"\s++|\S?+", r"(?#note)a|[\-x]"]):
        made[f"pattern{i}"] = [SPLIT(Regex(pattern), "isolated")]
    return made


def normalized():
    n = normalizers
    precompiled = n.Precompiled(charsmap({"ﬁ": "fi", "é": "e", "e\u0301": "e", "\u3000": " ", "\t": " ",
                                          "x": "", "²": "2", "漢": "字", "the": "teh", "😀": ":)"}))
    return {"strip": n.Strip(), "strip_left": n.Strip(True, False), "accents": n.StripAccents(),
            "lowercase": n.Lowercase(), "nmt": n.Nmt(), "prepend": n.Prepend("_"),
            "replace": n.Replace(Regex(r"\s+"), "~"), "replace_text": n.Replace("the", "THE"),
            "normalizer_bytes": n.ByteLevel(),
            "bert_normalizer": n.BertNormalizer(),
            "bert_cased": n.BertNormalizer(True, False, None, False), "precompiled": precompiled,
            "nfc": n.NFC(), "nfd": n.NFD(), "nfkc": n.NFKC(), "nfkd": n.NFKD(),
            "clip": n.Sequence([n.NFC(), n.Replace(Regex(r"\s+"), " "), n.Lowercase()])}


def all_tokenizers():
    p, d = pre_tokenizers, decoders
    made = {name: byte_level(steps) for name, steps in pre_tokenized().items()}
    made |= {name: byte_level(None, step) for name, step in normalized().items()}
    gemma = normalizers.Replace(" ", SPACE)
    fallback = d.Sequence([d.Replace(SPACE, " "), d.ByteFallback(), d.Fuse()])
    whole = d.Sequence([d.Replace(SPACE, " "), d.Fuse(), d.Strip(" ", 1, 0)])
    made |= {
        "gemma": by_characters(SPLIT(" ", "merged_with_previous"), fallback, gemma, fuse_unk=True,
                               byte_fallback=True),
        "no_decoder": by_characters(p.Whitespace(), None),
        "clip_bpe": by_characters(p.Sequence([SPLIT(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"),
                                                    "removed", True)]),
                                  d.BPEDecoder("</w>"), end_of_word_suffix="</w>",
                                  train={"end_of_word_suffix": "</w>"}),
        "prefix_bpe": by_characters(p.Whitespace(), d.BPEDecoder("</w>"),
                                    continuing_subword_prefix="##",
                                    train={"continuing_subword_prefix": "##"}),
        "strip_tokens": by_characters(p.WhitespaceSplit(), d.Sequence([d.Strip("e", 1, 0)])),
        "metaspace_bpe": by_characters(p.Metaspace(), d.Metaspace()),
        "metaspace_first": by_characters(p.Metaspace(prepend_scheme="first"),
                                         d.Metaspace(prepend_scheme="first"), fuse_unk=True),
        "unigram": unigram(p.Metaspace(), d.Metaspace()),
        "unigram_t5": unigram(p.Sequence([p.WhitespaceSplit(), p.Metaspace()]), d.Metaspace(),
                              normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])),
        "unigram_whole": unigram(p.Metaspace(prepend_scheme="never", split=False), whole),
        "unigram_bytes": unigram(p.Metaspace(), fallback),
        "falcon": (lambda t: (t[0], t[1]))(byte_level([p.Punctuation("contiguous")])),
        "empty_token": byte_level(),
    }
    falcon = made["falcon"][0]
    falcon.pre_tokenizer = p.Sequence([p.Punctuation("contiguous"), p.ByteLevel(False),
                                       p.Digits(False), SPLIT(Regex("[0-9][0-9][0-9]"), "isolated")])
    return made


def answer(out, name, text, strings):
    (out / f"{name}.tokenizer.json").write_text(text)
    tokenizer = Tokenizer.from_str(text)
    with open(out / f"{name}.jsonl", "w") as cases:
        for string in strings:
            ids = tokenizer.encode(string, add_special_tokens=False).ids
            decoded = tokenizer.decode(ids, skip_special_tokens=False)
            cases.write(json.dumps({"text": string, "ids": ids, "decoded": decoded}) + "\n")


def main():
    out, count = Path(sys.argv[1]), int(sys.argv[2])
    own = [p.read_text() for p in sorted((ROOT / "docs").glob("*.md"))][:6]
    rng = random.Random(3)
    strings = [random_string(rng) for _ in range(count)] + own[0].splitlines()[:20] + ["", " ", own[0]]
    edit = {"unigram_bytes": with_byte_tokens, "empty_token": with_empty_token}
    for name, (tokenizer, trainer) in all_tokenizers().items():
        tokenizer.train_from_iterator(own, trainer)
        answer(out, name, edit.get(name, str)(tokenizer.to_str()), strings)
    for i, file in enumerate(sys.argv[3:]):
        answer(out, f"given{i}", Path(file).read_text(), strings)


main()
