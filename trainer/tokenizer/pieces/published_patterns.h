// The splitting patterns of the large families (GPT-2, Llama-3, Qwen), scanned by hand: the same
// pieces as the regular expression, many times faster. A pattern is recognised by its exact text;
// all others stay with PCRE2. Immutable; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace llmctl {

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

class PublishedPattern {
 public:
  static bool can_split(std::string_view text);  // valid UTF-8 only
  static std::optional<PublishedPattern> recognise(std::string_view pattern);
  // The piece that begins at `begin` ends where? The pieces cover the text without gaps. Requires
  // can_split(text) and begin < text.size().
  size_t piece_end(std::string_view text, size_t begin) const {
    return digits_ == 0 ? gpt2_end(text, begin) : llama3_end(text, begin);
  }

 private:
  explicit PublishedPattern(int digits) : digits_(digits) {}
  static size_t gpt2_end(std::string_view text, size_t begin);
  size_t llama3_end(std::string_view text, size_t begin) const;
  int digits_;  // the longest run of numbers in Llama-3's form; 0: GPT-2's
};

}  // namespace llmctl
