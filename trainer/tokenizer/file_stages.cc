// The sections of a tokenizer.json that say what happens to text around the merges: normalizer,
// pre_tokenizer, decoder.
#include "trainer/tokenizer/tokenizer_file.h"

namespace llmctl {
namespace {

constexpr size_t kSteps = 16;  // of a normalizer, pre-tokenizer or decoder

// A component is null, one step, or a Sequence (nested ones too) whose steps are under `items`.
Status flatten(const JsonMember& component,
               const std::string& items,
               std::vector<JsonMember>& steps) {
  if (!component.present()) return ok_status();
  TRY(component.object());
  if (TRY(component["type"].text("")) != "Sequence") {
    if (steps.size() >= kSteps) return invalid_at(component.place(), "too many steps");
    steps.push_back(component);
    return ok_status();
  }
  for (const JsonMember& item : TRY(component[items].list(kSteps)))
    TRY(flatten(item, items, steps));
  return ok_status();
}

Result<std::string> replaced_text(const JsonMember& step) {
  if (step["pattern"]["Regex"].present()) return step["pattern"].unsupported("Regex");
  auto text = TRY(step["pattern"]["String"].text(""));
  if (text.empty()) return invalid_at(step["pattern"].place(), "expected {\"String\": \"...\"}");
  return text;
}

}  // namespace

Status read_normalizer(const JsonMember& root, Tokenizer::Parts& parts) {
  std::vector<JsonMember> steps;
  TRY(flatten(root["normalizer"], "normalizers", steps));
  for (const JsonMember& field : steps) {
    const std::string type = TRY(field["type"].text(""));
    using Kind = NormalizerStep::Kind;
    NormalizerStep step;
    if (type == "Prepend") {
      step.content = TRY(field["prepend"].text(""));
    } else if (type == "Replace") {
      step.kind = Kind::replace;
      step.pattern = TRY(replaced_text(field));
      step.content = TRY(field["content"].text(""));
    } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
      step.kind = type == "NFC"    ? Kind::nfc
                  : type == "NFD"  ? Kind::nfd
                  : type == "NFKC" ? Kind::nfkc
                                   : Kind::nfkd;
    } else {
      return field["type"].unsupported("\"" + type + "\"");
    }
    parts.normalizer.push_back(std::move(step));
  }
  return ok_status();
}

namespace {

Result<SplitPattern> read_pattern(const JsonMember& field) {
  if (field["String"].present()) return SplitPattern::literal(TRY(field["String"].text("")));
  const std::string regex = TRY(field["Regex"].text(""));
  if (regex.empty())
    return invalid_at(field.place(), "expected {\"Regex\": ...} or {\"String\": ...}");
  auto compiled = SplitPattern::compile(regex);
  if (!compiled.ok()) return invalid_at(field.place(), compiled.error().message);
  return compiled;
}

Result<PreTokenizerStep> read_split(const JsonMember& field) {
  PreTokenizerStep step;
  step.pattern.push_back(TRY(read_pattern(field["pattern"])));
  const std::string behavior = TRY(field["behavior"].text(""));
  const bool invert = TRY(field["invert"].flag(false));
  if (behavior == "Removed") {
    step.remove_matches = !invert;
    step.keep_only_matches = invert;
  } else if (behavior != "Isolated") {
    return field["behavior"].unsupported("\"" + behavior + "\"");
  }
  return step;
}

Result<PreTokenizerStep> read_metaspace(const JsonMember& field) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::metaspace;
  step.replacement = TRY(field["replacement"].text("\u2581"));
  if (TRY(field["split"].flag(true))) return field["split"].unsupported("true");
  const std::string scheme = TRY(field["prepend_scheme"].text("always"));
  if (scheme == "first") {
    step.prepend = PreTokenizerStep::Prepend::first;
  } else if (scheme == "always") {
    step.prepend = PreTokenizerStep::Prepend::always;
  } else if (scheme != "never") {
    return field["prepend_scheme"].unsupported("\"" + scheme + "\"");
  }
  return step;
}

Result<PreTokenizerStep> read_pretokenizer_step(const JsonMember& field) {
  const std::string type = TRY(field["type"].text(""));
  if (type == "Split") return read_split(field);
  if (type == "Metaspace") return read_metaspace(field);
  PreTokenizerStep step;
  if (type == "ByteLevel") {
    step.kind = PreTokenizerStep::Kind::byte_level;
    step.add_prefix_space = TRY(field["add_prefix_space"].flag(true));
    if (TRY(field["use_regex"].flag(true))) step.pattern.push_back(gpt2_pattern());
    return step;
  }
  if (type == "Digits") {
    const bool single = TRY(field["individual_digits"].flag(false));
    step.pattern.push_back(TRY(SplitPattern::compile(single ? "\\p{N}" : "\\p{N}+")));
    return step;
  }
  return field["type"].unsupported("\"" + type + "\"");
}

}  // namespace

Status read_pretokenizer(const JsonMember& root, Tokenizer::Parts& parts) {
  std::vector<JsonMember> steps;
  TRY(flatten(root["pre_tokenizer"], "pretokenizers", steps));
  for (const JsonMember& field : steps) {
    // ByteLevel turns text into the byte alphabet: nothing after it would see the text.
    if (parts.pretokenizer.byte_level()) return field.unsupported("a step after ByteLevel");
    parts.pretokenizer.add(TRY(read_pretokenizer_step(field)));
  }
  return ok_status();
}

Status read_decoder(const JsonMember& root, Tokenizer::Parts& parts) {
  std::vector<JsonMember> steps;
  TRY(flatten(root["decoder"], "decoders", steps));
  DecoderRules& rules = parts.decoder;
  if (steps.empty()) {
    if (parts.pretokenizer.byte_level()) return ok_status();
    return root["decoder"].unsupported("null");
  }
  rules.kind = DecoderRules::Kind::pieces;
  for (const JsonMember& step : steps) {
    const std::string type = TRY(step["type"].text(""));
    if (type == "ByteLevel" && steps.size() == 1) {
      rules.kind = DecoderRules::Kind::byte_level;
    } else if (type == "Replace") {
      rules.replacements.emplace_back(TRY(replaced_text(step)), TRY(step["content"].text("")));
    } else if (type == "ByteFallback") {
      rules.byte_fallback = true;
    } else if (type == "Metaspace") {
      rules.replacements.emplace_back(TRY(step["replacement"].text("\u2581")), " ");
      rules.strip_first_space = TRY(step["prepend_scheme"].text("always")) != "never";
    } else if (type == "Strip") {
      const bool known = TRY(step["content"].text("")) == " " && TRY(step["start"].number()) == 1 &&
                         TRY(step["stop"].number()) == 0;
      if (!known) return step.unsupported("a Strip other than one leading space");
      rules.strip_first_space = true;
    } else if (type != "Fuse") {
      return step["type"].unsupported("\"" + type + "\"");
    }
  }
  return ok_status();
}

}  // namespace llmctl
