// What the forms of attention share: where documents lie, heads as views of fused rows, the scale.
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "trainer/ops/attention.h"

namespace llmctl {

struct Document {  // or a sequence that is one: rows that see only each other
  int64_t first = 0, length = 0;
  at::Tensor of(const at::Tensor& rows) const { return rows.narrow(0, first, length); }
};

inline std::vector<Document> documents_of(const AttentionShape& s, int64_t rows) {
  std::vector<Document> all;
  if (s.document_starts.empty()) {
    for (int64_t row = 0; row < rows; row += s.sequence) all.push_back({row, s.sequence});
    return all;
  }
  for (size_t i = 0; i < s.document_starts.size(); ++i) {
    const bool last = i + 1 == s.document_starts.size();
    const int64_t first = s.document_starts[i];
    all.push_back({first, (last ? rows : s.document_starts[i + 1]) - first});
  }
  return all;
}

struct Heads {
  at::Tensor q, k, v;  // [B, heads or kv_heads, S, D], views
};
inline Heads heads_of(const at::Tensor& fused_rows, const AttentionShape& s) {
  const at::Tensor all = fused_rows.view({-1, s.sequence, s.heads + 2 * s.kv_heads, s.head_dim});
  const auto part = [&](int64_t begin, int64_t heads) {
    return all.narrow(2, begin, heads).transpose(1, 2);
  };
  return {part(0, s.heads), part(s.heads, s.kv_heads), part(s.heads + s.kv_heads, s.kv_heads)};
}

inline double scale_of(const AttentionShape& s, const AttentionRule& rule) {
  return rule.scale != 0 ? rule.scale : 1 / std::sqrt(static_cast<double>(s.head_dim));
}
// As LibTorch's operators take it.
inline std::optional<double> given_scale(const AttentionRule& rule) {
  return rule.scale != 0 ? std::optional(rule.scale) : std::nullopt;
}

}  // namespace llmctl
