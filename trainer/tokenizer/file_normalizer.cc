// The normalizer of a tokenizer.json.
#include "trainer/tokenizer/tokenizer_file.h"

namespace llmctl {
namespace {

NormalizerStep step_of(NormalizerStep::Kind kind) {
  NormalizerStep step;
  step.kind = kind;
  return step;
}

NormalizerStep step_of(NormalForm form) {
  NormalizerStep step;
  step.kind = NormalizerStep::Kind::normal_form;
  step.form = form;
  return step;
}

Status read_bert(const JsonMember& field, std::vector<NormalizerStep>& out) {
  const bool lower = TRY(field["lowercase"].flag(true));
  if (TRY(field["clean_text"].flag(true))) out.push_back(step_of(NormalizerStep::Kind::clean));
  if (TRY(field["handle_chinese_chars"].flag(true)))
    out.push_back(step_of(NormalizerStep::Kind::space_chinese));
  if (TRY(field["strip_accents"].flag(lower))) {
    out.push_back(step_of(NormalForm::nfd));
    out.push_back(step_of(NormalizerStep::Kind::strip_nonspacing));
  }
  if (lower) out.push_back(step_of(NormalizerStep::Kind::lowercase));
  return ok_status();
}

Status read_normalizer_step(const JsonMember& field, std::vector<NormalizerStep>& out) {
  const std::string type = TRY(field["type"].text(""));
  NormalizerStep step;
  if (type == "BertNormalizer") return read_bert(field, out);
  if (type == "Prepend") {
    step.content = TRY(field["prepend"].text(""));
  } else if (type == "Replace") {
    step.kind = NormalizerStep::Kind::replace;
    step.pattern = TRY(read_pattern(field["pattern"]));
    step.content = TRY(field["content"].text(""));
  } else if (type == "Strip") {
    step.kind = NormalizerStep::Kind::strip;
    step.left = TRY(field["strip_left"].flag(true));
    step.right = TRY(field["strip_right"].flag(true));
  } else if (type == "Precompiled") {
    const std::string_view base64 = TRY(field["precompiled_charsmap"].long_text());
    const auto map = PrecompiledMap::parse(base64);
    if (!map.ok()) return invalid_at(field["precompiled_charsmap"].place(), map.error().message);
    step.kind = NormalizerStep::Kind::precompiled;
    step.map = std::make_shared<const PrecompiledMap>(*map);
  } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    step = step_of(type == "NFC"    ? NormalForm::nfc
                   : type == "NFD"  ? NormalForm::nfd
                   : type == "NFKC" ? NormalForm::nfkc
                                    : NormalForm::nfkd);
  } else if (type == "Lowercase" || type == "StripAccents" || type == "Nmt" ||
             type == "ByteLevel") {
    step.kind = type == "Lowercase"      ? NormalizerStep::Kind::lowercase
                : type == "StripAccents" ? NormalizerStep::Kind::strip_accents
                : type == "Nmt"          ? NormalizerStep::Kind::nmt
                                         : NormalizerStep::Kind::byte_level;
  } else {
    return field["type"].unsupported("\"" + type + "\"");
  }
  out.push_back(std::move(step));
  return ok_status();
}

}  // namespace

Status read_normalizer(const JsonMember& root, Tokenizer::Parts& parts) {
  for (const JsonMember& field : TRY(steps_of(root["normalizer"], "normalizers"))) {
    TRY(read_normalizer_step(field, parts.normalizer));
  }
  return ok_status();
}

}  // namespace llmctl
