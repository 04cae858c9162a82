#include "trainer/ops/cpu/operators.h"

#include <algorithm>
#include <cmath>

#include "core/plan/memory_model.h"
#include "trainer/ops/cpu/simd.h"
#include "trainer/ops/cpu/small_product.h"

namespace llmctl::cpu {
namespace {

static_assert(kLanes == kAttentionLanes, "the prediction of memory counts on it");
constexpr int64_t kQueries = 32;  // rows of scores at a time: few wasted above the diagonal

int64_t padded(int64_t length) {
  return (length + kLanes - 1) / kLanes * kLanes;
}

// Panels of kLanes rows, each transposed: [length / kLanes][dim][kLanes], zero beyond `length`.
SIMD_CLONES void pack_transposed(
    const float* rows, int64_t stride, Document s, int64_t dim, float* to) {
  for (int64_t i = 0; i < padded(s.length); ++i) {
    float* lane = to + i / kLanes * dim * kLanes + i % kLanes;
    const float* from = rows + i * stride;
    for (int64_t d = 0; d < dim; ++d) lane[d * kLanes] = i < s.length ? from[d] : 0;
  }
}

struct RowStatistics {
  float most, sum;
};
// Scores become exp(scale * score - most) from `begin` to `end`, and 0 in the rest of `width`.
SIMD_CLONES RowStatistics
exponentials(float* x, int64_t begin, int64_t end, int64_t width, float scale) {
  float most = x[begin];
  for (int64_t i = begin; i < end; ++i) most = x[i] > most ? x[i] : most;
  most *= scale;
  float sum = 0;
  for (int64_t i = begin; i < end; ++i) {
    x[i] = simd_exp(x[i] * scale - most);
    sum += x[i];
  }
  for (int64_t i = 0; i < begin; ++i) x[i] = 0;
  for (int64_t i = end; i < width; ++i) x[i] = 0;
  return {most, sum};
}

SIMD_CLONES void scale_row(float* x, float factor, int64_t width) {
  for (int64_t i = 0; i < width; ++i) x[i] *= factor;
}

SIMD_CLONES float dot(const float* a, const float* b, int64_t width) {
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += a[i] * b[i];
  return sum;
}

struct Visible {
  int64_t begin, end, width;  // of a row of a block
};
// Scores x become probabilities p, and dx (the gradient of p) that of the scores' products.
SIMD_CLONES void row_backward(
    float* x, float* dx, Visible v, float scale, float log_sum_exp, float delta) {
  for (int64_t i = v.begin; i < v.end; ++i) {
    x[i] = simd_exp(x[i] * scale - log_sum_exp);
    dx[i] = x[i] * (dx[i] - delta) * scale;
  }
  for (int64_t i = 0; i < v.begin; ++i) x[i] = dx[i] = 0;
  for (int64_t i = v.end; i < v.width; ++i) x[i] = dx[i] = 0;
}

// Queries of one head against the keys that any of them sees.
struct QueryBlock {
  int64_t row;           // of the first query, in all rows
  int64_t head;          // of queries
  int64_t queries;       // at most kQueries
  int64_t keys, length;  // the first key's place in its document (a panel's begin), and how many
  int64_t before;        // queries of the document before this block
};

class Kernel {
 public:
  Kernel(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule)
      : shape_(shape),
        documents_(documents_of(shape, qkv.size(0))),
        window_(rule.window),
        scale_(static_cast<float>(scale_of(shape, rule))),
        qkv_(qkv.const_data_ptr<float>()) {
    for (const Document& d : documents_) longest_ = std::max(longest_, padded(d.length));
  }

  void forward(float* out, float* log_sum_exp);
  void backward(const float* dout, const float* out, const float* log_sum_exp, float* dqkv);

 private:
  // Calls `task` for every document and key head, with a thread's own scratch of so many floats.
  template <typename Task>
  void for_tasks(int64_t scratch, const Task& task) const {
    const auto tasks = static_cast<int64_t>(documents_.size()) * shape_.kv_heads;
    const at::Tensor buffers = at::empty({at::get_num_threads(), scratch}, at::kFloat);
    float* all = buffers.mutable_data_ptr<float>();
    at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      float* own = all + at::get_thread_num() * scratch;
      for (int64_t i = begin; i < end; ++i) {
        task(documents_[static_cast<size_t>(i / shape_.kv_heads)], i % shape_.kv_heads, own);
      }
    });
  }
  template <typename Body>
  void for_blocks(const Document& document, int64_t kv_head, const Body& body) const {
    const int64_t group = shape_.heads / shape_.kv_heads;
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (int64_t q = 0; q < document.length; q += kQueries) {
        const int64_t queries = std::min(kQueries, document.length - q);
        const int64_t seen = window_ > 0 ? std::max<int64_t>(0, q - window_ + 1) : 0;
        const int64_t keys = seen / kLanes * kLanes;
        body(QueryBlock{document.first + q, head, queries, keys, q + queries - keys, q});
      }
    }
  }
  Visible visible(const QueryBlock& b, int64_t query) const {
    const int64_t own = b.before + query;
    const int64_t begin = window_ > 0 ? std::max<int64_t>(0, own - window_ + 1) : 0;
    return {begin - b.keys, own + 1 - b.keys, b.length};
  }
  const float* query(const QueryBlock& b) const { return at(qkv_, b.row, b.head); }
  template <typename Float>
  Float* at(Float* rows, int64_t row, int64_t head) const {
    return rows + row * shape_.row() + head * shape_.head_dim;
  }
  int64_t key_head(int64_t kv_head) const { return shape_.heads + kv_head; }
  int64_t value_head(int64_t kv_head) const { return shape_.heads + shape_.kv_heads + kv_head; }
  int64_t out_row() const { return shape_.heads * shape_.head_dim; }
  // Rows of `b` times packed keys or values: [queries, longest_].
  void against_packed(const QueryBlock& b,
                      const float* rows,
                      int64_t stride,
                      const float* packed,
                      float* to) const {
    const int64_t dim = shape_.head_dim;
    multiply({b.queries, padded(b.length), dim, rows, stride, 1, packed + b.keys * dim, kLanes,
              dim * kLanes, to, longest_});
  }

  AttentionShape shape_;
  std::vector<Document> documents_;
  int64_t window_, longest_ = 0;
  float scale_;
  const float* qkv_;
};

void Kernel::forward(float* out, float* log_sum_exp) {
  const int64_t dim = shape_.head_dim, row = shape_.row();
  for_tasks((dim + kQueries) * longest_, [&](const Document& d, int64_t kv, float* scratch) {
    float *keys = scratch, *scores = scratch + dim * longest_;
    pack_transposed(at(qkv_, d.first, key_head(kv)), row, d, dim, keys);
    for_blocks(d, kv, [&](const QueryBlock& b) {
      against_packed(b, query(b), row, keys, scores);
      float sums[kQueries];
      for (int64_t q = 0; q < b.queries; ++q) {
        const Visible v = visible(b, q);
        const auto [most, sum] =
            exponentials(scores + q * longest_, v.begin, v.end, v.width, scale_);
        sums[q] = sum;
        log_sum_exp[(b.row + q) * shape_.heads + b.head] = most + std::log(sum);
      }
      float* to = out + b.row * out_row() + b.head * dim;
      multiply({b.queries, dim, b.length, scores, longest_, 1,
                at(qkv_, d.first + b.keys, value_head(kv)), row, kLanes, to, out_row()});
      for (int64_t q = 0; q < b.queries; ++q) scale_row(to + q * out_row(), 1 / sums[q], dim);
    });
  });
}

void Kernel::backward(const float* dout, const float* out, const float* log_sum_exp, float* dqkv) {
  const int64_t dim = shape_.head_dim, row = shape_.row();
  for_tasks(2 * (dim + kQueries) * longest_, [&](const Document& d, int64_t kv, float* scratch) {
    float *keys = scratch, *values = keys + dim * longest_;
    float *scores = values + dim * longest_, *dscores = scores + kQueries * longest_;
    pack_transposed(at(qkv_, d.first, key_head(kv)), row, d, dim, keys);
    pack_transposed(at(qkv_, d.first, value_head(kv)), row, d, dim, values);
    for (int64_t i = d.first; i < d.first + d.length; ++i) {
      std::fill_n(at(dqkv, i, key_head(kv)), dim, 0.0f);
      std::fill_n(at(dqkv, i, value_head(kv)), dim, 0.0f);
    }
    for_blocks(d, kv, [&](const QueryBlock& b) {
      const int64_t place = b.row * out_row() + b.head * dim;
      against_packed(b, query(b), row, keys, scores);
      against_packed(b, dout + place, out_row(), values, dscores);
      for (int64_t q = 0; q < b.queries; ++q) {
        const int64_t at_row = place + q * out_row();
        row_backward(scores + q * longest_, dscores + q * longest_, visible(b, q), scale_,
                     log_sum_exp[(b.row + q) * shape_.heads + b.head],
                     dot(dout + at_row, out + at_row, dim));
      }
      const int64_t first = d.first + b.keys;
      multiply({b.queries, dim, b.length, dscores, longest_, 1, at(qkv_, first, key_head(kv)), row,
                kLanes, at(dqkv, b.row, b.head), row});
      multiply({b.length, dim, b.queries, dscores, 1, longest_, query(b), row, kLanes,
                at(dqkv, first, key_head(kv)), row, /*add=*/true});
      multiply({b.length, dim, b.queries, scores, 1, longest_, dout + place, out_row(), kLanes,
                at(dqkv, first, value_head(kv)), row, /*add=*/true});
    });
  });
}

bool takes(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule) {
  const int64_t documents = shape.document_starts.empty()
                                ? qkv.size(0) / shape.sequence
                                : static_cast<int64_t>(shape.document_starts.size());
  return qkv.is_cpu() && qkv.scalar_type() == at::kFloat && rule.kind != AttentionKind::manual &&
         rule.soft_cap <= 0 && shape.head_dim % kLanes == 0 &&
         documents * shape.kv_heads >= at::get_num_threads();
}

AttentionSaved forward(const at::Tensor& qkv,
                       const AttentionShape& shape,
                       const AttentionRule& rule) {
  const int64_t rows = qkv.size(0);
  at::Tensor out = at::empty({rows, shape.heads * shape.head_dim}, qkv.options());
  at::Tensor log_sum_exp = at::empty({rows, shape.heads}, qkv.options());
  Kernel(qkv, shape, rule)
      .forward(out.mutable_data_ptr<float>(), log_sum_exp.mutable_data_ptr<float>());
  return {out, {log_sum_exp}};
}

AttentionGradient backward(const at::Tensor& dout,
                           const at::Tensor& qkv,
                           const AttentionSaved& saved,
                           const AttentionShape& shape,
                           const AttentionRule& rule) {
  at::Tensor dqkv = at::empty_like(qkv);
  Kernel(qkv, shape, rule)
      .backward(dout.const_data_ptr<float>(), saved.out.const_data_ptr<float>(),
                saved.weights[0].const_data_ptr<float>(), dqkv.mutable_data_ptr<float>());
  const Heads heads = heads_of(dqkv, shape);
  return {heads.q, heads.k, heads.v};
}

}  // namespace

const Attention attention = {takes, forward, backward};

}  // namespace llmctl::cpu
