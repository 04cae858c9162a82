#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "trainer/bpe_alphabet.h"
#include "trainer/tokenizer_parts.h"

namespace llmctl {
namespace {

// A hostile chain of replacements could double the text at every step.
constexpr size_t kGrowth = 32;
constexpr size_t kGrowthFloor = 4096;

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  for (size_t at = 0;;) {
    const size_t found = text.find(pattern, at);
    out += text.substr(at, found - at);
    if (found == text.npos) return out;
    out += content;
    at = found + pattern.size();
  }
}

int unicode_options(NormalizerStep::Kind kind) {
  switch (kind) {
    case NormalizerStep::Kind::nfc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case NormalizerStep::Kind::nfd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case NormalizerStep::Kind::nfkc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    default:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  }
}

// ASCII is every form of itself and begins anew, so only the last of it may change with what
// follows.
size_t settled_ascii(std::string_view text) {
  const auto is_ascii = [](char c) { return static_cast<uint8_t>(c) < 0x80; };
  const auto end = std::find_if_not(text.begin(), text.end(), is_ascii);
  const auto count = static_cast<size_t>(end - text.begin());
  return end == text.end() || count == 0 ? count : count - 1;
}

// Runs of valid UTF-8 are normalized, other bytes stay.
std::string normalize_unicode(std::string_view text, int options) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (const size_t settled = settled_ascii(text.substr(at))) {
      out += text.substr(at, settled);
      at += settled;
      continue;
    }
    size_t end = at;
    bool only_ascii_after = false;
    for (size_t n = 1;
         !only_ascii_after && end < text.size() && (n = utf8_length(text.substr(end))) > 0;) {
      end += n;
      only_ascii_after = n > 1 && end < text.size() && static_cast<uint8_t>(text[end]) < 0x80;
    }
    if (end == at) {
      out += text[at++];
      continue;
    }
    utf8proc_uint8_t* mapped = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                                     static_cast<utf8proc_ssize_t>(end - at), &mapped,
                                     static_cast<utf8proc_option_t>(options));
    CHECK(length >= 0);  // valid UTF-8 always maps
    out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
    std::free(mapped);
    at = end;
  }
  return out;
}

}  // namespace

Result<std::string> normalize(const std::vector<NormalizerStep>& steps, std::string_view text) {
  std::string result(text);
  if (text.empty()) return result;
  for (const NormalizerStep& step : steps) {
    switch (step.kind) {
      case NormalizerStep::Kind::prepend:
        result.insert(0, step.content);
        break;
      case NormalizerStep::Kind::replace:
        result = replace_all(result, step.pattern, step.content);
        break;
      default:
        result = normalize_unicode(result, unicode_options(step.kind));
    }
    if (result.size() > text.size() * kGrowth + kGrowthFloor) {
      return Error{Code::invalid_argument, "normalizer: makes the text more than 32 times longer",
                   ""};
    }
  }
  return result;
}

}  // namespace llmctl
