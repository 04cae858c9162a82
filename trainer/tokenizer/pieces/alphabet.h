// The byte alphabet of byte-level BPE (GPT-2, Radford et al. 2019): every byte has a visible
// character, so vocabularies are text. Printable Latin-1 bytes stand for themselves, the other 68
// take U+0100 upward in byte order; a space is "Ġ". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmctl {

const std::string& alphabet_char(uint8_t byte);
std::string in_alphabet(std::string_view bytes);
// The bytes that `text` spells, or nothing when a character is not of the alphabet.
std::optional<std::string> alphabet_bytes(std::string_view text);

}  // namespace llmctl
