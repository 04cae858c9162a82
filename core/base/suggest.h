// Did-you-mean: the known name nearest to a misspelt one. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llmctl {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b);

// ""; or `; did you mean "learning_rate"?` when one of `known` is near enough to be meant.
std::string did_you_mean(std::string_view wrong, const std::vector<std::string_view>& known);

}  // namespace llmctl
