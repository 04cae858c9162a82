#include "trainer/token_pipeline.h"

#include <algorithm>

namespace llmctl {
namespace {

constexpr size_t kPartBytes = 8 << 20;  // longer documents are encoded in parts, cut at a line end
constexpr size_t kBatchBytes = 512 << 10;  // short documents share a batch

std::string_view first_part(std::string_view text) {
  if (text.size() <= kPartBytes) return text;
  const size_t line_end = text.rfind('\n', kPartBytes);
  size_t cut = line_end == text.npos || line_end == 0 ? kPartBytes : line_end + 1;
  if (line_end == text.npos) {  // not inside a character
    while (cut > kPartBytes - 4 && (static_cast<uint8_t>(text[cut]) & 0xC0) == 0x80) --cut;
  }
  return text.substr(0, cut);
}

}  // namespace

TokenPipeline::TokenPipeline(const Tokenizer& tokenizer, size_t threads, Sink sink)
    : sink_(std::move(sink)), threads_(threads) {
  for (size_t i = 0; i < threads; ++i) encoders_.emplace_back(tokenizer);
}

Status TokenPipeline::add(std::string_view document) {
  do {
    const std::string_view part = first_part(document);
    document.remove_prefix(part.size());
    if (!filling_->parts.empty() && filling_->text.size() + part.size() > kBatchBytes) {
      TRY(start_batch());
    }
    filling_->text += part;
    filling_->parts.push_back({part.size(), document.empty()});
  } while (!document.empty());
  return ok_status();
}

Status TokenPipeline::start_batch() {
  const auto batch = std::exchange(filling_, std::make_shared<Batch>());
  return threads_.add([this, batch](size_t thread) { encode(*batch, encoders_[thread]); },
                      [this, batch] { return hand_on(*batch); });
}

void TokenPipeline::encode(Batch& batch, Encoder& encoder) {
  std::string_view text = batch.text;
  for (Part& part : batch.parts) {
    const size_t before = batch.ids.size();
    if (batch.status.ok()) batch.status = encoder.append(text.substr(0, part.bytes), batch.ids);
    part.ids = batch.ids.size() - before;
    text.remove_prefix(part.bytes);
  }
}

Status TokenPipeline::hand_on(const Batch& batch) const {
  TRY(Status(batch.status));
  std::span<const int32_t> ids = batch.ids;
  for (const Part& part : batch.parts) {
    TRY(sink_(ids.first(part.ids), part.ends_document));
    ids = ids.subspan(part.ids);
  }
  return ok_status();
}

Status TokenPipeline::finish() {
  if (!filling_->parts.empty()) TRY(start_batch());
  return threads_.finish();
}

}  // namespace llmctl
