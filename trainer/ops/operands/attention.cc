#include "trainer/ops/operands/attention.h"

#include <algorithm>
#include <cmath>

#include "trainer/device/host_transfer.h"

namespace llmctl {

AttentionKind attention_kind(std::string_view name) {
  if (name == "flash") return AttentionKind::flash;
  CHECK(name == "sdpa" || name == "manual");
  return name == "sdpa" ? AttentionKind::sdpa : AttentionKind::manual;
}

AttentionRule attention_rule(const ModelConfig& config, int64_t layer, AttentionKind kind) {
  AttentionRule rule = {.kind = kind, .soft_cap = config.attn_logit_softcapping};
  if (config.slides(layer)) rule.window = config.sliding_window;
  if (config.query_pre_attn_scalar > 0) rule.scale = 1 / std::sqrt(config.query_pre_attn_scalar);
  return rule;
}

std::vector<Document> documents_of(const AttentionShape& shape, int64_t rows) {
  std::vector<Document> all;
  if (shape.document_starts.empty()) {
    for (int64_t row = 0; row < rows; row += shape.sequence) all.push_back({row, shape.sequence});
    return all;
  }
  for (size_t i = 0; i < shape.document_starts.size(); ++i) {
    const bool last = i + 1 == shape.document_starts.size();
    const int64_t first = shape.document_starts[i];
    all.push_back({first, (last ? rows : shape.document_starts[i + 1]) - first});
  }
  return all;
}

Boundaries boundaries_of(const AttentionShape& shape, int64_t rows, at::Device device) {
  if (shape.document_starts.empty()) {
    const auto there = at::device(device).dtype(at::kInt);
    return {at::arange(0, rows + 1, shape.sequence, there), shape.sequence};
  }
  const std::vector<Document> documents = documents_of(shape, rows);
  const auto count = static_cast<int64_t>(documents.size());
  const at::Tensor starts = at::empty({count + 1}, at::kInt);
  auto* start = starts.mutable_data_ptr<int32_t>();
  int64_t longest = 0;
  for (const Document& d : documents) {
    *start++ = static_cast<int32_t>(d.first);
    longest = std::max(longest, d.length);
  }
  *start = static_cast<int32_t>(rows);
  return {upload(starts, device), longest};
}

Heads heads_of(const at::Tensor& fused_rows, const AttentionShape& s) {
  const at::Tensor all = fused_rows.view({-1, s.sequence, s.heads + 2 * s.kv_heads, s.head_dim});
  const auto part = [&](int64_t begin, int64_t heads) {
    return all.narrow(2, begin, heads).transpose(1, 2);
  };
  return {part(0, s.heads), part(s.heads, s.kv_heads), part(s.heads + s.kv_heads, s.kv_heads)};
}

double scale_of(const AttentionShape& shape, const AttentionRule& rule) {
  return rule.scale != 0 ? rule.scale : 1 / std::sqrt(static_cast<double>(shape.head_dim));
}

std::optional<double> scale_for_libtorch(const AttentionRule& rule) {
  return rule.scale != 0 ? std::optional(rule.scale) : std::nullopt;
}

}  // namespace llmctl
