// What Python's str can do, as far as templates ask for it: over UTF-8, counting characters. Bytes
// that are no character count as one each. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmctl::jinja {

std::vector<std::string_view> characters(std::string_view text);

// Without the characters of `set` at the chosen sides; an empty set is white space.
std::string_view strip(std::string_view text, std::string_view set, bool left, bool right);

enum class Letters { upper, lower, capitalized, title };
std::string with_letters(std::string_view text, Letters letters);

// At most `most` cuts, below 0: all. An empty separator is any white space, as without one.
std::vector<std::string_view> split(std::string_view text,
                                    std::string_view separator,
                                    int64_t most);
// Requires a non-empty `from`; at most `most` times, below 0: all.
std::string replace(std::string_view text,
                    std::string_view from,
                    std::string_view to,
                    int64_t most);

}  // namespace llmctl::jinja
