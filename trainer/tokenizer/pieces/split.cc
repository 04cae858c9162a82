#include "trainer/tokenizer/pieces/split.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/utf8.h"
#include "trainer/tokenizer/pieces/oniguruma.h"

namespace llmctl {
namespace {

constexpr size_t kPatternBytes = 16 << 10;  // the longest public one has 400
// Backtracking points of one match: a run of spaces as long as the text costs one per byte.
constexpr size_t kMatchLimit = 1'000'000, kMatchLimitPerByte = 8;
constexpr uint32_t kHeapLimitKib = 64 << 10;
constexpr size_t kJitStackBytes = 1 << 20;

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

// Joins neighbouring stretches of one text as a behavior says.
class Joiner {
 public:
  Joiner(SplitBehavior behavior, const std::function<Status(std::string_view)>& emit)
      : behavior_(behavior), emit_(emit) {}

  Status add(std::string_view part, bool matched) {
    if (behavior_ == SplitBehavior::removed && matched) return ok_status();
    if (joins(matched)) {
      held_ = {held_.data(), held_.size() + part.size()};
    } else {
      TRY(finish());
      held_ = part;
    }
    holds_ = true;
    last_matched_ = matched;
    return ok_status();
  }

  Status finish() {
    if (holds_ && !held_.empty()) TRY(emit_(held_));
    holds_ = false;
    return ok_status();
  }

 private:
  bool joins(bool matched) const {
    if (!holds_) return false;
    switch (behavior_) {
      case SplitBehavior::contiguous:
        return matched == last_matched_;
      case SplitBehavior::merged_with_previous:
        return matched && !last_matched_;
      case SplitBehavior::merged_with_next:
        return !matched && last_matched_;
      default:
        return false;
    }
  }

  SplitBehavior behavior_;
  const std::function<Status(std::string_view)>& emit_;
  std::string_view held_;
  bool holds_ = false, last_matched_ = false;
};

}  // namespace

struct SplitPattern::Compiled {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> compiled;
};

Result<SplitPattern> SplitPattern::compile(std::string_view pattern) {
  if (pattern.size() > kPatternBytes) {
    return Error{Code::invalid_argument, "pattern is longer than 16 KiB", ""};
  }
  const std::string translated = TRY(oniguruma_to_pcre2(pattern));
  auto result = TRY(compile_pcre2(translated));
  result.published_ = PublishedPattern::recognise(pattern);
  return result;
}

Result<SplitPattern> SplitPattern::compile_pcre2(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Oniguruma's ^ and $ match at every line.
  pcre2_code* compiled = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (compiled == nullptr) {
    return Error{Code::invalid_argument, "bad pattern: " + message_of(error), ""};
  }
  SplitPattern result;
  auto code = std::make_shared<Compiled>();
  code->compiled.reset(compiled);
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // without JIT matching interprets: slower
  result.code_ = std::move(code);
  return result;
}

SplitPattern SplitPattern::literal(std::string_view text) {
  SplitPattern result;
  result.literal_ = text;
  return result;
}

SplitPattern SplitPattern::one_of(const CodeSet& set) {
  auto compiled = compile_pcre2("[" + set.in_class() + "]");
  CHECK(compiled.ok());
  return std::move(*compiled);
}

Status SplitPattern::split(std::string_view text, const Emit& emit) const {
  if (code_ == nullptr) return split_literal(text, emit);
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

Status SplitPattern::split_literal(std::string_view text, const Emit& emit) const {
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
  bool any = false;
  for (size_t at = 0; at <= text.size();) {
    const int found = pcre2_match(code_->compiled.get(), subject, text.size(), at,
                                  PCRE2_NO_UTF_CHECK, match.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) return pattern_error(found);
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
    const size_t begin = range[0], end = range[1];
    // No empty match follows a match at once, nor (odd, through \K) one that begins before its end.
    if (end < begin || begin < gap || (end == begin && any && begin == gap)) {
      if (at >= text.size()) break;
      at += utf8_length(text.substr(at));
      continue;
    }
    if (begin > gap) TRY(emit(text.substr(gap, begin - gap), false));
    TRY(emit(text.substr(begin, end - begin), true));
    gap = at = end;
    any = true;
  }
  if (gap < text.size()) TRY(emit(text.substr(gap), false));
  return ok_status();
}

Status split_by(const SplitPattern& pattern,
                SplitBehavior behavior,
                bool invert,
                std::string_view text,
                const std::function<Status(std::string_view piece)>& emit) {
  Joiner joiner(behavior, emit);
  TRY(pattern.split(text, [&](std::string_view part, bool matched) {
    return joiner.add(part, matched != invert);
  }));
  return joiner.finish();
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
