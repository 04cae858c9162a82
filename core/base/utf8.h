// UTF-8: where characters end, and text of other programs made fit for the wire (protobuf, JSON and
// Prometheus refuse bytes that are not UTF-8). Overlong forms, surrogates and cut-off characters
// are not valid. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/units.h"

namespace llmctl {

// Length of the character at the front, 1 to 4; 0 when it is not valid. Requires a non-empty text.
size_t utf8_length(std::string_view text);

// With '?' for every byte that is no part of a valid character.
std::string valid_utf8(std::string text);
// The longest prefix of at most `limit` bytes that does not end inside a character, made valid.
std::string cut_utf8(std::string text, Bytes limit);

}  // namespace llmctl
