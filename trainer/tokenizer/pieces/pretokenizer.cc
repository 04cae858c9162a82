#include "trainer/tokenizer/pieces/pretokenizer.h"

#include "trainer/tokenizer/pieces/alphabet.h"
#include "trainer/tokenizer/pieces/scripts.h"

namespace llmctl {
namespace {

std::string with_metaspaces(const PreTokenizerStep& step, std::string_view text, bool first) {
  std::string changed;
  for (const char c : text) c == ' ' ? changed += step.replacement : changed += c;
  const bool wanted = step.prepend == PreTokenizerStep::Prepend::always ||
                      (step.prepend == PreTokenizerStep::Prepend::first && first);
  if (wanted && !changed.starts_with(step.replacement)) changed.insert(0, step.replacement);
  return changed;
}

}  // namespace

bool PreTokenizer::byte_level() const {
  return !steps_.empty() && steps_.back().kind == PreTokenizerStep::Kind::byte_level;
}

const PublishedPattern* PreTokenizer::only_published() const {
  const PublishedPattern* published = nullptr;
  for (const PreTokenizerStep& step : steps_) {
    const bool last = &step == &steps_.back();
    const bool cuts = step.kind == PreTokenizerStep::Kind::split;
    const bool spells = step.kind == PreTokenizerStep::Kind::byte_level && last;
    if ((!cuts && !spells) || step.add_prefix_space) return nullptr;
    if (!step.pattern) continue;
    // Its matches leave no gap, so nothing is lost where the gaps are removed.
    const bool keeps_matches = (step.behavior == SplitBehavior::isolated && !step.invert) ||
                               (step.behavior == SplitBehavior::removed && step.invert);
    if (published != nullptr || !keeps_matches || !step.pattern->published()) return nullptr;
    published = &*step.pattern->published();
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
  const bool byte_level = step.kind == PreTokenizerStep::Kind::byte_level;
  if (byte_level && step.add_prefix_space && !text.starts_with(' ')) {
    text = changed = " " + std::string(text);
  }
  if (step.kind == PreTokenizerStep::Kind::metaspace) {
    text = changed = with_metaspaces(step, text, first);
  }
  const bool spells = byte_level && index + 1 < steps_.size();
  const auto next = [&](std::string_view piece) -> Status {
    const bool starts = first && piece.data() == text.data();
    return run(index + 1, spells ? std::string_view(in_alphabet(piece)) : piece, starts, emit);
  };
  if (step.kind == PreTokenizerStep::Kind::scripts) return split_by_script(text, next);
  if (!step.pattern) return next(text);
  return split_by(*step.pattern, step.behavior, step.invert, text, next);
}

}  // namespace llmctl
