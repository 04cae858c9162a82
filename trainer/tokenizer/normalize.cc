#include "trainer/tokenizer/normalize.h"

#include <algorithm>
#include <functional>

#include "trainer/tokenizer/pieces/alphabet.h"
#include "trainer/tokenizer/pieces/characters.h"
#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {
namespace {

// A hostile chain of replacements could double the text at every step.
constexpr size_t kGrowth = 32;
constexpr size_t kGrowthFloor = 4096;

// `change` appends what becomes of a character.
std::string per_character(
    std::string_view text,
    const std::function<void(uint32_t, std::string_view, std::string&)>& change) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t code = next_code_point(text, at);
    change(code, text.substr(begin, at - begin), out);
  }
  return out;
}

std::string without(const CodeSet& set, std::string_view text) {
  return per_character(text, [&](uint32_t code, std::string_view own, std::string& out) {
    if (own.size() == 1 && code > 0x7F)
      out += own;  // no character
    else if (!set.contains(code))
      out += own;
  });
}

std::string lowercase(std::string_view text) {
  return per_character(text, [](uint32_t code, std::string_view own, std::string& out) {
    const uint32_t lower = own.size() == 1 && code > 0x7F ? code : lower_of(code);
    if (code == 0x130) {
      out += "i\u0307";
    } else if (lower == code) {
      out += own;
    } else {
      append_utf8(lower, out);
    }
  });
}

std::string stripped(std::string_view text, bool left, bool right) {
  size_t begin = text.size(), end = 0;  // of what is no white space
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const uint32_t code = next_code_point(text, at);
    const bool space = space_set().contains(code) && (at - here > 1 || code < 0x80);
    if (space) continue;
    begin = std::min(begin, here);
    end = at;
  }
  if (!left) begin = 0;
  if (!right) end = text.size();
  return std::string(begin < end ? text.substr(begin, end - begin) : "");
}

// Google's for its translation models.
std::string nmt(std::string_view text) {
  return per_character(text, [](uint32_t code, std::string_view own, std::string& out) {
    const bool dropped = (code >= 1 && code <= 8) || code == 0xB || (code >= 0xE && code <= 0x1F) ||
                         code == 0x7F || (own.size() > 1 && (code == 0x8F || code == 0x9F));
    const bool space = code == '\t' || code == '\n' || code == '\f' || code == '\r' ||
                       code == 0x1680 || (code >= 0x200B && code <= 0x200F) || code == 0x2028 ||
                       code == 0x2029 || code == 0x2581 || code == 0xFEFF || code == 0xFFFD;
    if (dropped) return;
    space ? out += ' ' : out += own;
  });
}

// BERT's: control characters go, white space is a space.
std::string cleaned(std::string_view text) {
  return per_character(text, [](uint32_t code, std::string_view own, std::string& out) {
    const bool stray = own.size() == 1 && code > 0x7F;
    if (!stray && reference_control_set().contains(code)) return;
    !stray&& space_set().contains(code) ? out += ' ' : out += own;
  });
}

std::string with_chinese_apart(std::string_view text) {
  static const CodeSet chinese(std::vector<CodeRange>{{0x4E00, 0x9FFF},
                                                      {0x3400, 0x4DBF},
                                                      {0x20000, 0x2A6DF},
                                                      {0x2A700, 0x2B73F},
                                                      {0x2B740, 0x2B81F},
                                                      {0x2B920, 0x2CEAF},
                                                      {0xF900, 0xFAFF},
                                                      {0x2F800, 0x2FA1F}});
  return per_character(text, [](uint32_t code, std::string_view own, std::string& out) {
    const bool apart = chinese.contains(code);
    if (apart) out += ' ';
    out += own;
    if (apart) out += ' ';
  });
}

Result<std::string> applied(const NormalizerStep& step, std::string text) {
  using Kind = NormalizerStep::Kind;
  switch (step.kind) {
    case Kind::prepend:
      return text.empty() ? text : step.content + text;
    case Kind::replace:
      return replaced(*step.pattern, step.content, text);
    case Kind::normal_form:
      return in_normal_form(step.form, text);
    case Kind::strip:
      return stripped(text, step.left, step.right);
    case Kind::strip_accents:
      return without(reference_mark_set(), text);
    case Kind::strip_nonspacing:
      return without(reference_accent_set(), text);
    case Kind::lowercase:
      return lowercase(text);
    case Kind::nmt:
      return nmt(text);
    case Kind::clean:
      return cleaned(text);
    case Kind::space_chinese:
      return with_chinese_apart(text);
    case Kind::precompiled:
      return step.map->apply(text);
    case Kind::byte_level:
      return in_alphabet(text);
  }
  return text;
}

}  // namespace

Result<std::string> replaced(const SplitPattern& pattern,
                             const std::string& content,
                             std::string_view text) {
  std::string out;
  TRY(pattern.split(text, [&](std::string_view part, bool matched) {
    out += matched ? std::string_view(content) : part;
    return ok_status();
  }));
  return out;
}

Result<std::string> normalize(const std::vector<NormalizerStep>& steps, std::string_view text) {
  std::string result(text);
  for (const NormalizerStep& step : steps) {
    result = TRY(applied(step, std::move(result)));
    if (result.size() > text.size() * kGrowth + kGrowthFloor) {
      return Error{Code::invalid_argument, "normalizer: makes the text more than 32 times longer",
                   ""};
    }
  }
  return result;
}

}  // namespace llmctl
