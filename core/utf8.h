// Text of other programs made fit for the wire: protobuf, JSON and Prometheus refuse bytes that are
// not UTF-8. Pure. Every function gives valid UTF-8 back; a byte that is no part of a valid
// sequence (overlong forms and surrogates are none) becomes '?'.
#pragma once

#include <string>

#include "core/units.h"

namespace llmctl {

std::string valid_utf8(std::string text);
// The longest prefix of at most `limit` bytes that does not end inside a character.
std::string cut_utf8(std::string text, Bytes limit);

}  // namespace llmctl
