#include "trainer/data/cache/token_pipeline.h"

#include <algorithm>

namespace llmctl {
namespace {

constexpr size_t kPartBytes = 8 << 20;  // longer documents are encoded in parts where they may be
constexpr size_t kBatchBytes = 512 << 10;  // short documents share a batch

// May a part end behind the line end at `at`? (Tokenizer::lines_are_apart)
bool parts_at(std::string_view text, size_t at) {
  const auto is_sign = [](char c) { return c > ' ' && c <= '~'; };
  return at > 0 && at + 1 < text.size() && text[at] == '\n' && is_sign(text[at - 1]) &&
         is_sign(text[at + 1]);
}

std::string_view first_part(std::string_view text, bool may_cut) {
  if (text.size() <= kPartBytes || !may_cut) return text;
  for (size_t at = kPartBytes; at > 0; --at) {
    if (parts_at(text, at)) return text.substr(0, at + 1);
  }
  for (size_t at = kPartBytes; at < text.size(); ++at) {
    if (parts_at(text, at)) return text.substr(0, at + 1);
  }
  return text;
}

}  // namespace

TokenPipeline::TokenPipeline(const Tokenizer& tokenizer,
                             const ChatFormat* format,
                             size_t threads,
                             Sink sink)
    : tokenizer_(tokenizer), format_(format), sink_(std::move(sink)), threads_(threads) {
  for (size_t i = 0; i < threads; ++i) encoders_.emplace_back(tokenizer);
}

Status TokenPipeline::make_room(size_t bytes) {
  const bool full = filling_->text.size() + bytes > kBatchBytes;
  return full && !filling_->parts.empty() ? start_batch() : ok_status();
}

Status TokenPipeline::add(std::string_view document) {
  const bool may_cut = tokenizer_.lines_are_apart();
  do {
    const std::string_view part = first_part(document, may_cut);
    document.remove_prefix(part.size());
    TRY(make_room(part.size()));
    filling_->text += part;
    filling_->parts.push_back({.bytes = part.size(), .ends_document = document.empty()});
  } while (!document.empty());
  return ok_status();
}

Status TokenPipeline::add_record(std::string_view json, const SourceFile& source, int64_t line) {
  CHECK(format_ != nullptr && source.chat != nullptr);
  TRY(make_room(json.size()));
  filling_->text += json;
  filling_->parts.push_back(
      {.bytes = json.size(), .ends_document = true, .source = &source, .line = line});
  return ok_status();
}

Status TokenPipeline::start_batch() {
  const auto batch = std::exchange(filling_, std::make_shared<Batch>());
  return threads_.add([this, batch](size_t thread) { encode(*batch, encoders_[thread]); },
                      [this, batch] { return hand_on(*batch); });
}

void TokenPipeline::encode(Batch& batch, Encoder& encoder) const {
  std::string_view text = batch.text;
  for (Part& part : batch.parts) {
    const size_t ids = batch.ids.size(), learned = batch.learned.size();
    const std::string_view own = text.substr(0, part.bytes);
    if (batch.status.ok()) {
      batch.status = part.source != nullptr ? encode_record(own, part, encoder, batch)
                                            : encoder.append(own, batch.ids);
    }
    part.ids = batch.ids.size() - ids;
    part.learned = batch.learned.size() - learned;
    text.remove_prefix(part.bytes);
  }
}

Status TokenPipeline::encode_record(std::string_view json,
                                    const Part& part,
                                    Encoder& encoder,
                                    Batch& batch) const {
  Status encoded =
      format_->encode(json, *part.source->chat, tokenizer_, encoder, batch.ids, batch.learned);
  if (encoded.ok()) return encoded;
  const Error& error = encoded.error();
  return Error{error.code, at_line(part.source->path.string(), part.line, error.message),
               error.hint};
}

Status TokenPipeline::hand_on(const Batch& batch) const {
  TRY(Status(batch.status));
  std::span<const int32_t> ids = batch.ids;
  std::span<const uint8_t> learned = batch.learned;
  for (const Part& part : batch.parts) {
    TRY(sink_({ids.first(part.ids), learned.first(part.learned), part.ends_document}));
    ids = ids.subspan(part.ids);
    learned = learned.subspan(part.learned);
  }
  return ok_status();
}

Status TokenPipeline::finish() {
  if (!filling_->parts.empty()) TRY(start_batch());
  return threads_.finish();
}

}  // namespace llmctl
