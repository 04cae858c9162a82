// What every form of attention takes and gives, and views of it. Rows of the fused projection,
// [T, (heads + 2 kv_heads) * D], hold q heads, then k heads, then v heads.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/model/model_config.h"
#include "trainer/device/tensor.h"

namespace llmctl {

struct Boundaries {  // of documents, or of sequences that are one, where a device reads them
  at::Tensor rows;   // [documents + 1] int32: where each begins, and T
  int64_t longest = 0;
};

struct AttentionShape {
  int64_t sequence = 0, heads = 0, kv_heads = 0, head_dim = 0;
  // Rows where a document begins, ascending, the first 0; `sequence` is T then. Empty: every
  // sequence is one document. Views the micro-batch.
  std::span<const int32_t> document_starts = {};
  Boundaries boundaries = {};  // of the same documents; only flash attention on CUDA needs them
  int64_t row() const { return (heads + 2 * kv_heads) * head_dim; }
};

enum class AttentionKind { sdpa, flash, manual };
AttentionKind attention_kind(std::string_view name);  // of Plan::attention, which was checked

struct AttentionRule {  // of one layer
  AttentionKind kind = AttentionKind::sdpa;
  int64_t window = 0;   // tokens seen, itself included; 0: all before it
  double scale = 0;     // of the scores; 0: 1 / sqrt(head_dim)
  double soft_cap = 0;  // c: scores become c tanh(score / c); 0: not
};
AttentionRule attention_rule(const ModelConfig& config, int64_t layer, AttentionKind kind);

struct AttentionSaved {
  at::Tensor out;  // [T, heads * D]
  // What backward needs besides. Whoever made it reads it, as each form's header says.
  std::vector<at::Tensor> weights;
};

struct AttentionGradient {
  at::Tensor q, k, v;  // [B, heads or kv_heads, S, D], any strides with the last one 1
};

// ---- Views

struct Document {  // or a sequence that is one: rows that see only each other
  int64_t first = 0, length = 0;
  at::Tensor of(const at::Tensor& rows) const { return rows.narrow(0, first, length); }
};
std::vector<Document> documents_of(const AttentionShape& shape, int64_t rows);
// Made once for all layers of a pass. Nothing waits for the device; for whole sequences it computes
// them itself, so that a graph may hold that.
Boundaries boundaries_of(const AttentionShape& shape, int64_t rows, at::Device device);

struct Heads {
  at::Tensor q, k, v;  // [B, heads or kv_heads, S, D], views
};
Heads heads_of(const at::Tensor& fused_rows, const AttentionShape& shape);

double scale_of(const AttentionShape& shape, const AttentionRule& rule);
// As LibTorch's operators take it: nothing stands for 1 / sqrt(head_dim).
std::optional<double> scale_for_libtorch(const AttentionRule& rule);

}  // namespace llmctl
