// Unicode's normal forms, with the characters that the reference implementation's normalizer knows.
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace llmctl {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

// Runs of valid UTF-8 are normalized, other bytes stay.
std::string in_normal_form(NormalForm form, std::string_view text);

}  // namespace llmctl
