#include "trainer/tokenizer/pieces/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/utf8.h"
#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {
namespace {

constexpr size_t kPatternBytes = 16 << 10;  // the longest public one has 400
// Backtracking points of one match: a run of spaces as long as the text costs one per byte.
constexpr size_t kMatchLimit = 1'000'000, kMatchLimitPerByte = 8;
constexpr uint32_t kHeapLimitKib = 64 << 10;
constexpr size_t kJitStackBytes = 1 << 20;

// The pattern with \s, \S, \p{L} and \p{N} spelled out; the rest means the same in both dialects.
std::string to_pcre2(std::string_view pattern) {
  std::string out;
  int depth = 0;  // inside [...], which Oniguruma lets nest
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '\\' || i + 1 >= pattern.size()) {
      if (c == '[') ++depth;
      if (c == ']' && depth > 0) --depth;
      out += c;
      continue;
    }
    const std::string_view rest = pattern.substr(i);
    const bool property = rest.starts_with("\\p{L}") || rest.starts_with("\\p{N}");
    const std::string* ranges = !property        ? &space_ranges()
                                : rest[3] == 'L' ? &letter_ranges()
                                                 : &number_ranges();
    if (property || rest[1] == 's') {
      out += depth > 0 ? *ranges : "[" + *ranges + "]";
    } else if (rest[1] == 'S' && depth == 0) {
      out += "[^" + *ranges + "]";
    } else {
      out += rest.substr(0, 2);
    }
    i += property ? 4 : 1;
  }
  return out;
}

template <auto free>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 200> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

Error pattern_error(int error) {
  return Error{Code::invalid_argument, "pre_tokenizer pattern: " + message_of(error),
               "the pattern needs too many steps on this text"};
}

}  // namespace

struct SplitPattern::Compiled {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> compiled;
};

Result<SplitPattern> SplitPattern::compile(std::string_view pattern) {
  if (pattern.size() > kPatternBytes) {
    return Error{Code::invalid_argument, "pattern is longer than 16 KiB", ""};
  }
  const std::string translated = to_pcre2(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Oniguruma's ^ and $ match at every line.
  pcre2_code* compiled = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (compiled == nullptr) {
    return Error{Code::invalid_argument, "bad pattern: " + message_of(error), ""};
  }
  SplitPattern result;
  auto code = std::make_shared<Compiled>();
  code->compiled.reset(compiled);
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // without JIT matching interprets: slower
  result.code_ = std::move(code);
  result.published_ = PublishedPattern::recognise(pattern);
  return result;
}

SplitPattern SplitPattern::literal(std::string_view text) {
  SplitPattern result;
  result.literal_ = text;
  return result;
}

Status SplitPattern::split(std::string_view text, const Emit& emit) const {
  if (code_ == nullptr) {
    for (size_t at = 0; at < text.size();) {
      const size_t found = literal_.empty() ? text.npos : text.find(literal_, at);
      const size_t gap_end = std::min(found, text.size());
      if (gap_end > at) TRY(emit(text.substr(at, gap_end - at), false));
      if (found == text.npos) break;
      TRY(emit(text.substr(found, literal_.size()), true));
      at = found + literal_.size();
    }
    return ok_status();
  }
  if (!published_ || !PublishedPattern::can_split(text)) {
    return split_by_pcre2(text, emit);
  }
  for (size_t at = 0; at < text.size();) {
    const size_t end = published_->piece_end(text, at);
    TRY(emit(text.substr(at, end - at), true));
    at = end;
  }
  return ok_status();
}

Status SplitPattern::split_by_pcre2(std::string_view text, const Emit& emit) const {
  // PCRE2 wants valid UTF-8; each run of it is matched alone, the bytes between are gaps.
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    for (size_t n = 1; end < text.size() && (n = utf8_length(text.substr(end))) > 0;) end += n;
    if (end > at) TRY(split_valid(text.substr(at, end - at), emit));
    at = end;
    while (end < text.size() && utf8_length(text.substr(end)) == 0) ++end;
    if (end > at) TRY(emit(text.substr(at, end - at), false));
    at = end;
  }
  return ok_status();
}

Status SplitPattern::split_valid(std::string_view text, const Emit& emit) const {
  const std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>> match(
      pcre2_match_data_create(1, nullptr));
  const std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>> context(
      pcre2_match_context_create(nullptr));
  const std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack_free>> stack(
      pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr));
  pcre2_set_match_limit(context.get(),
                        static_cast<uint32_t>(std::min<size_t>(
                            kMatchLimit + kMatchLimitPerByte * text.size(), UINT32_MAX)));
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t gap = 0;  // where the gap before the next match begins
  for (size_t at = 0; at <= text.size();) {
    const int found = pcre2_match(code_->compiled.get(), subject, text.size(), at,
                                  PCRE2_NO_UTF_CHECK, match.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) return pattern_error(found);
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
    const size_t begin = range[0], end = range[1];
    if (end <= begin || begin < gap) {  // empty (or odd, through \K): step over one character
      if (at >= text.size()) break;
      at += utf8_length(text.substr(at));
      continue;
    }
    if (begin > gap) TRY(emit(text.substr(gap, begin - gap), false));
    TRY(emit(text.substr(begin, end - begin), true));
    gap = at = end;
  }
  if (gap < text.size()) TRY(emit(text.substr(gap), false));
  return ok_status();
}

bool PreTokenizer::byte_level() const {
  return !steps_.empty() && steps_.back().kind == PreTokenizerStep::Kind::byte_level;
}

const PublishedPattern* PreTokenizer::only_published() const {
  const PublishedPattern* published = nullptr;
  for (const PreTokenizerStep& step : steps_) {
    const bool plain = step.kind != PreTokenizerStep::Kind::metaspace && !step.remove_matches &&
                       !step.keep_only_matches && !step.add_prefix_space;
    if (!plain || (published != nullptr && !step.pattern.empty())) return nullptr;
    if (step.pattern.empty()) continue;
    if (!step.pattern[0].published()) return nullptr;
    published = &*step.pattern[0].published();
  }
  return published;
}

Status PreTokenizer::split(std::string_view text, bool first, const Emit& emit) const {
  return text.empty() ? ok_status() : run(0, text, first, emit);
}

Status PreTokenizer::run(size_t index, std::string_view text, bool first, const Emit& emit) const {
  if (index == steps_.size()) return emit(text);
  const PreTokenizerStep& step = steps_[index];
  std::string changed;
  if (step.kind == PreTokenizerStep::Kind::byte_level && step.add_prefix_space &&
      !text.starts_with(' ')) {
    changed = " " + std::string(text);
    text = changed;
  }
  if (step.kind == PreTokenizerStep::Kind::metaspace) {
    for (const char c : text) c == ' ' ? changed += step.replacement : changed += c;
    const bool wanted = step.prepend == PreTokenizerStep::Prepend::always ||
                        (step.prepend == PreTokenizerStep::Prepend::first && first);
    if (wanted && !changed.starts_with(step.replacement)) changed.insert(0, step.replacement);
    text = changed;
  }
  if (step.pattern.empty()) return run(index + 1, text, first, emit);
  return step.pattern[0].split(text, [&](std::string_view piece, bool matched) -> Status {
    if (matched ? step.remove_matches : step.keep_only_matches) return ok_status();
    const bool starts = first && piece.data() == text.data();
    return run(index + 1, piece, starts, emit);
  });
}

const SplitPattern& gpt2_pattern() {
  static const SplitPattern pattern = [] {
    auto compiled = SplitPattern::compile(kGpt2Pattern);
    CHECK(compiled.ok());
    return std::move(*compiled);
  }();
  return pattern;
}

}  // namespace llmctl
