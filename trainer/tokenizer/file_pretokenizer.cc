// The pre_tokenizer of a tokenizer.json.
#include "trainer/tokenizer/pieces/unicode_class.h"
#include "trainer/tokenizer/tokenizer_file.h"

namespace llmctl {
namespace {

Result<SplitBehavior> read_behavior(const JsonMember& field, const std::string& otherwise) {
  static constexpr std::pair<const char*, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::removed},
      {"Isolated", SplitBehavior::isolated},
      {"Contiguous", SplitBehavior::contiguous},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next}};
  const std::string behavior = TRY(field.text(otherwise));
  for (const auto& [name, value] : kNames) {
    if (behavior == name) return value;
  }
  return field.unsupported("\"" + behavior + "\"");
}

PreTokenizerStep cut_at(SplitPattern pattern, SplitBehavior behavior, bool invert = false) {
  PreTokenizerStep step;
  step.pattern = std::move(pattern);
  step.behavior = behavior;
  step.invert = invert;
  return step;
}

Result<PreTokenizerStep> read_metaspace(const JsonMember& field) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::metaspace;
  step.replacement = TRY(field["replacement"].text("\u2581"));
  if (TRY(field["split"].flag(true))) {
    step.pattern = SplitPattern::literal(step.replacement);
    step.behavior = SplitBehavior::merged_with_next;
  }
  const bool prefix = TRY(field["add_prefix_space"].flag(true));  // of files before prepend_scheme
  const std::string scheme = TRY(field["prepend_scheme"].text(prefix ? "always" : "never"));
  if (!prefix && scheme != "never") {
    return invalid_at(field["add_prefix_space"].place(), "false, but prepend_scheme is " + scheme);
  }
  if (scheme == "first") {
    step.prepend = PreTokenizerStep::Prepend::first;
  } else if (scheme == "always") {
    step.prepend = PreTokenizerStep::Prepend::always;
  } else if (scheme != "never") {
    return field["prepend_scheme"].unsupported("\"" + scheme + "\"");
  }
  return step;
}

Result<PreTokenizerStep> read_byte_level(const JsonMember& field) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::byte_level;
  step.add_prefix_space = TRY(field["add_prefix_space"].flag(true));
  if (TRY(field["use_regex"].flag(true))) step.pattern = gpt2_pattern();
  return step;
}

// Words of \w as Rust's regex has it, and runs of what is neither that nor white space.
Result<PreTokenizerStep> words() {
  constexpr const char* kPattern = R"([[\w\x{200c}\x{200d}]&&[^\x{b2}\x{b3}\x{b9}\x{bc}-\x{be}]]+)"
                                   R"(|[[^\w\s\x{200c}\x{200d}]\x{b2}\x{b3}\x{b9}\x{bc}-\x{be}]+)";
  return cut_at(TRY(SplitPattern::compile(kPattern)), SplitBehavior::removed, true);
}

Result<PreTokenizerStep> read_fixed_length(const JsonMember& field) {
  const int64_t length = TRY(field["length"].number());
  if (length < 1 || length > 1000) return field["length"].unsupported(std::to_string(length));
  const std::string pattern = "(?m:.{1," + std::to_string(length) + "})";
  return cut_at(TRY(SplitPattern::compile(pattern)), SplitBehavior::isolated);
}

Status read_pretokenizer_step(const JsonMember& field, PreTokenizer& out) {
  const std::string type = TRY(field["type"].text(""));
  if (type == "Split") {
    out.add(cut_at(TRY(read_pattern(field["pattern"])), TRY(read_behavior(field["behavior"], "")),
                   TRY(field["invert"].flag(false))));
  } else if (type == "ByteLevel") {
    out.add(TRY(read_byte_level(field)));
  } else if (type == "Metaspace") {
    out.add(TRY(read_metaspace(field)));
  } else if (type == "Digits") {
    const bool single = TRY(field["individual_digits"].flag(false));
    out.add(cut_at(SplitPattern::one_of(*unicode_set("N")),
                   single ? SplitBehavior::isolated : SplitBehavior::contiguous));
  } else if (type == "Punctuation") {
    out.add(cut_at(SplitPattern::one_of(reference_punctuation_set()),
                   TRY(read_behavior(field["behavior"], "Isolated"))));
  } else if (type == "Whitespace") {
    out.add(TRY(words()));
  } else if (type == "WhitespaceSplit") {
    out.add(cut_at(SplitPattern::one_of(space_set()), SplitBehavior::removed));
  } else if (type == "BertPreTokenizer") {
    out.add(cut_at(SplitPattern::one_of(space_set()), SplitBehavior::removed));
    out.add(cut_at(SplitPattern::one_of(reference_punctuation_set()), SplitBehavior::isolated));
  } else if (type == "CharDelimiterSplit") {
    const std::string delimiter = TRY(field["delimiter"].text(""));
    out.add(cut_at(SplitPattern::literal(delimiter), SplitBehavior::removed));
  } else if (type == "FixedLength") {
    out.add(TRY(read_fixed_length(field)));
  } else if (type == "UnicodeScripts") {
    PreTokenizerStep step;
    step.kind = PreTokenizerStep::Kind::scripts;
    out.add(std::move(step));
  } else {
    return field["type"].unsupported("\"" + type + "\"");
  }
  return ok_status();
}

}  // namespace

Status read_pretokenizer(const JsonMember& root, Tokenizer::Parts& parts) {
  for (const JsonMember& field : TRY(steps_of(root["pre_tokenizer"], "pretokenizers"))) {
    TRY(read_pretokenizer_step(field, parts.pretokenizer));
  }
  return ok_status();
}

}  // namespace llmctl
