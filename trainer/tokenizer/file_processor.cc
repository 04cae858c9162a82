// The post_processor of a tokenizer.json: what it puts before a text. What it puts behind one is
// not taken: a document ends with the end-of-text token, and a prompt goes on.
#include "core/base/limits.h"
#include "trainer/tokenizer/tokenizer_file.h"

namespace llmctl {
namespace {

constexpr size_t kProcessors = 16, kTemplateParts = 64;

Result<int32_t> read_special_id(const JsonMember& field) {
  const int64_t id = TRY(field.number());
  if (id < 0 || id >= limits::kVocabSize) return invalid_at(field.place(), "out of range");
  return static_cast<int32_t>(id);
}

// "single" lists special tokens and the text, "special_tokens" has their ids.
Status read_template(const JsonMember& field, std::vector<int32_t>& begin) {
  for (const JsonMember& part : TRY(field["single"].list(kTemplateParts))) {
    if (part["Sequence"].present()) return ok_status();
    const std::string name = TRY(part["SpecialToken"]["id"].text(""));
    const JsonMember ids = field["special_tokens"][name]["ids"];
    if (!ids.present()) return invalid_at(ids.place(), "is missing, but \"single\" asks for it");
    for (const JsonMember& id : TRY(ids.list(kTemplateParts))) {
      begin.push_back(TRY(read_special_id(id)));
    }
  }
  return ok_status();
}

Status read_processor(const JsonMember& field, std::vector<int32_t>& begin) {
  const std::string type = TRY(field["type"].text(""));
  if (type == "TemplateProcessing") return read_template(field, begin);
  if (type == "BertProcessing" || type == "RobertaProcessing") {  // "cls": ["<s>", 0]
    const auto pair = TRY(field["cls"].list(2));
    if (pair.size() != 2) return invalid_at(field["cls"].place(), "expected [\"token\", id]");
    begin.push_back(TRY(read_special_id(pair[1])));
    return ok_status();
  }
  return type == "ByteLevel" ? ok_status() : field["type"].unsupported("\"" + type + "\"");
}

}  // namespace

Status read_post_processor(const JsonMember& root, Tokenizer::Parts& parts) {
  const JsonMember field = root["post_processor"];
  if (!field.present()) return ok_status();
  if (TRY(field["type"].text("")) != "Sequence") return read_processor(field, parts.begin);
  for (const JsonMember& one : TRY(field["processors"].list(kProcessors))) {
    TRY(read_processor(one, parts.begin));
  }
  return ok_status();
}

}  // namespace llmctl
