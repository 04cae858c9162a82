"""Writes unicode_*.inc: what Unicode 16 says of every character.

  pip install 'unicodedata2==16.*' regex tokenizers
  python trainer/tokenizer/pieces/make_unicode_tables.py

Sixteen, because that is the version of the regular expressions in PyPI `tokenizers`, our reference.
General categories are UnicodeData.txt's, as unicodedata2 carries them. Scripts and Alphabetic come
from `regex`, whose Unicode may be newer: what version 16 does not assign is left out. Other parts
of the reference are older than its regular expressions, so it is asked itself what it takes for
punctuation, a combining mark or a script, and how it writes a letter small.
"""

from pathlib import Path

import regex
import unicodedata2
from tokenizers import normalizers, pre_tokenizers

assert unicodedata2.unidata_version == "16.0.0"
HERE = Path(__file__).parent
COLUMNS = 100
CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CATEGORY = [unicodedata2.category(chr(c)) for c in range(0x110000)]
ALL = "".join(map(chr, CODES))
ASSIGNED = {c for c in CODES if CATEGORY[c] != "Cn"}

SCRIPTS = """
Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali
Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian
Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret
Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian
Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul
Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi
Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi
Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin Lepcha Limbu Linear_A Linear_B Lisu
Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin
Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani
Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham
Ol_Chiki Ol_Onal Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian
Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau
Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham
SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog
Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh
Tirhuta Todhri Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi
Zanabazar_Square
""".split()


def ranges_of(codes):
    ranges = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def with_property(name):
    return {ord(c) for run in regex.findall(r"\p{%s}+" % name, ALL) for c in run} & ASSIGNED


def reference_punctuation():
    found = set()
    cut = pre_tokenizers.Punctuation("isolated")
    for first in range(0, len(CODES), 2048):
        text = "".join("a" + chr(c) for c in CODES[first:first + 2048]) + "a"
        pieces = (piece for piece, _ in cut.pre_tokenize_str(text) if len(piece) == 1)
        found |= {ord(piece) for piece in pieces} - {ord("a")}
    return found


def removed_by(normalizer):
    return {c for c in CODES if normalizer.normalize_str("a" + chr(c) + "a") == "aa"}


def unscripted():
    cut = pre_tokenizers.UnicodeScripts()
    return {c for c in ASSIGNED if not cut.pre_tokenize_str(chr(c))}


def lower_runs():
    """[first, last, step, what is added]: of letters that have one small letter."""
    lower = normalizers.Lowercase()
    runs = []
    for code in sorted(ASSIGNED):
        small = lower.normalize_str(chr(code))
        if small == chr(code) or len(small) != 1:
            continue
        added = ord(small) - code
        if runs and runs[-1][3] == added:
            first, last, step, _ = runs[-1]
            if code - last == step or (first == last and code - last <= 2):
                runs[-1] = [first, code, code - last, added]
                continue
        runs.append([code, code, 1, added])
    return runs


def table(declaration, entries):
    lines, line = [], "   "
    for entry in entries:
        if len(line) + len(entry) + 2 > COLUMNS:
            lines.append(line)
            line = "   "
        line += " " + entry + ","
    return f"constexpr {declaration}[] = {{\n" + "\n".join([*lines, line]) + "\n};\n"


def range_table(name, codes):
    return table(f"CodeRange {name}", [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges_of(codes)])


def main():
    head = "// Unicode 16.0.0. Made by make_unicode_tables.py; do not edit.\n"
    begins = [c for c in range(0x110000) if c == 0 or CATEGORY[c] != CATEGORY[c - 1]]
    (HERE / "unicode_categories.inc").write_text(
        head + "// Each category holds up to where the next begins.\n"
        + table("CategoryBegin kCategories", [f"{{{c:#x},{CATEGORY[c]}}}" for c in begins]))
    scripts = [(name, r) for name in SCRIPTS for r in ranges_of(with_property("Script=" + name))]
    clean = normalizers.BertNormalizer(True, False, False, False)
    accents = normalizers.BertNormalizer(False, False, True, False)
    letters = {c for c in ASSIGNED if CATEGORY[c][0] == "L"}
    (HERE / "unicode_scripts.inc").write_text(
        head
        + table("ScriptRange kScripts", [f'{{"{n}", {{{a:#x}, {b:#x}}}}}' for n, (a, b) in scripts])
        + "// Alphabetic, but no letter.\n"
        + range_table("kOtherAlphabetic", with_property("Alphabetic") - letters))
    (HERE / "unicode_reference.inc").write_text(
        head
        + "// What the reference's pre-tokenizer calls punctuation.\n"
        + range_table("kReferencePunctuation", reference_punctuation())
        + "// What the reference's normalizer strips as accents.\n"
        + range_table("kReferenceMarks", removed_by(normalizers.StripAccents()))
        + "// What its normalizer for BERT strips as accents.\n"
        + range_table("kReferenceAccents", removed_by(accents))
        + "// What its normalizer for BERT cleans away.\n"
        + range_table("kReferenceControls", removed_by(clean))
        + "// What has a script, but none for its pre-tokenizer.\n"
        + range_table("kReferenceUnscripted", unscripted())
        + "// First, last, step, and what makes the letter small.\n"
        + table("LowerRun kLower",
                [f"{{{a:#x}, {b:#x}, {s}, {d}}}" for a, b, s, d in lower_runs()]))


main()
