// The decoder of a tokenizer.json.
#include "trainer/tokenizer/tokenizer_file.h"

namespace llmctl {
namespace {

Result<DecoderStep> read_strip(const JsonMember& field) {
  DecoderStep step;
  step.kind = DecoderStep::Kind::strip;
  step.text = TRY(field["content"].text(""));
  step.start = TRY(field["start"].number());
  step.stop = TRY(field["stop"].number());
  if (step.text.empty()) return invalid_at(field["content"].place(), "expected a character");
  return step;
}

// After Fuse the whole text is one token.
Status read_after_fuse(const JsonMember& field, const std::string& type, DecoderRules& rules) {
  if (type == "Fuse") return ok_status();
  if (type != "Strip") return field["type"].unsupported("\"" + type + "\" after Fuse");
  const DecoderStep strip = TRY(read_strip(field));
  if (strip.stop != 0 || !rules.front.empty())
    return field.unsupported("a Strip of the text's end");
  rules.front = strip.text;
  rules.front_count = strip.start;
  return ok_status();
}

Status read_decoder_step(const JsonMember& field, const std::string& type, DecoderRules& rules) {
  DecoderStep step;
  if (type == "Replace") {
    step.pattern = TRY(read_pattern(field["pattern"]));
    step.text = TRY(field["content"].text(""));
  } else if (type == "ByteFallback") {
    step.kind = DecoderStep::Kind::byte_fallback;
  } else if (type == "ByteLevel") {
    step.kind = DecoderStep::Kind::byte_level;
  } else if (type == "Strip") {
    step = TRY(read_strip(field));
  } else if (type == "BPEDecoder") {
    step.kind = DecoderStep::Kind::word_end;
    step.text = rules.word_end = TRY(field["suffix"].text("</w>"));
  } else if (type == "Metaspace") {
    step.kind = DecoderStep::Kind::metaspace;
    step.text = TRY(field["replacement"].text("\u2581"));
    const bool prefix = TRY(field["add_prefix_space"].flag(true));
    rules.first_differs = TRY(field["prepend_scheme"].text(prefix ? "always" : "never")) != "never";
  } else {
    return field["type"].unsupported("\"" + type + "\"");
  }
  rules.steps.push_back(std::move(step));
  return ok_status();
}

}  // namespace

Status read_decoder(const JsonMember& root, Tokenizer::Parts& parts) {
  const auto fields = TRY(steps_of(root["decoder"], "decoders"));
  DecoderRules& rules = parts.decoder;
  if (fields.empty() && parts.pretokenizer.byte_level()) {
    rules.steps.push_back({.kind = DecoderStep::Kind::byte_level, .pattern = {}, .text = {}});
  }
  rules.separated = fields.empty() && !parts.pretokenizer.byte_level();
  bool fused = false;
  for (const JsonMember& field : fields) {
    const auto type = TRY(field["type"].text(""));
    fused |= std::string_view(type) == "Fuse";
    TRY(fused ? read_after_fuse(field, type, rules) : read_decoder_step(field, type, rules));
    fused |= std::string_view(type) == "ByteLevel";
  }
  return ok_status();
}

}  // namespace llmctl
