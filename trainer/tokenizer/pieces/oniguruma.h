// Splitting patterns are written for Oniguruma (Ruby's syntax) and run in PCRE2. This says the same
// in PCRE2: every class of characters with the sets of unicode_class.h, nested classes and "&&",
// \h, \b, \uHHHH, {,n}, {n,m}+ (no possessive there), (?m). What has no equal is refused by name,
// so that nothing is cut otherwise in silence. Hostile input. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {

Result<std::string> oniguruma_to_pcre2(std::string_view pattern);

}  // namespace llmctl
