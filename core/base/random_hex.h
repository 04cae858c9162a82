// Names that nobody else has, and secrets: bytes of the kernel's random source as hex digits.
#pragma once

#include <cstddef>
#include <string>

namespace llmctl {

std::string random_hex(size_t bytes);  // at most 256: such a request never fails or blocks

}  // namespace llmctl
