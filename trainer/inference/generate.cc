#include "trainer/inference/generate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "trainer/ops/linear.h"

namespace llmctl {

Decoder::Decoder(const Model& model) : model_(model), caches_(model.blocks().size()) {
  const ModelConfig& c = model.config();
  for (Cache& cache : caches_) {
    cache.keys = at::empty({c.num_key_value_heads, model.options().sequence_len, c.head_dim},
                           at::device(model.options().device).dtype(model.options().number));
    cache.values = at::empty_like(cache.keys);
  }
}

int64_t Decoder::room() const {
  return model_.options().sequence_len - length_;
}

// Attention of n new rows over all that is cached; heads of a group share their keys.
static at::Tensor attend(const at::Tensor& q,
                         const at::Tensor& keys,
                         const at::Tensor& values,
                         const AttentionRule& rule) {
  const int64_t kv_heads = keys.size(0), length = keys.size(1), dim = keys.size(2);
  const int64_t n = q.size(1);
  const at::Tensor grouped = q.reshape({kv_heads, -1, n, dim});
  at::Tensor scores = at::matmul(grouped, keys.unsqueeze(1).transpose(2, 3));
  scores.mul_(rule.scale != 0 ? rule.scale : 1 / std::sqrt(static_cast<double>(dim)));
  if (rule.soft_cap > 0) scores.div_(rule.soft_cap).tanh_().mul_(rule.soft_cap);
  const at::Tensor all = at::ones({n, length}, q.options().dtype(at::kBool));
  at::Tensor hidden = all.triu(length - n + 1);
  if (rule.window > 0) hidden.logical_or_(all.tril(length - n - rule.window));
  scores.masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  const at::Tensor out = at::matmul(at::softmax(scores, -1), values.unsqueeze(1));
  return out.reshape({-1, n, dim}).transpose(0, 1).reshape({n, -1});
}

at::Tensor Decoder::run_block(size_t index, const at::Tensor& x, Cache& cache) const {
  const ModelConfig& c = model_.config();
  const Block& block = model_.blocks()[index];
  const int64_t n = x.size(0);
  const AttentionShape shape = {n, c.num_attention_heads, c.num_key_value_heads, c.head_dim};
  Block::Saved row;
  block.project(x, shape, model_.rotary(index), length_, row);
  const at::Tensor heads = row.qkv.view({n, -1, c.head_dim}).transpose(0, 1);  // [heads, n, D]
  cache.keys.narrow(1, length_, n).copy_(heads.narrow(0, shape.heads, shape.kv_heads));
  cache.values.narrow(1, length_, n)
      .copy_(heads.narrow(0, shape.heads + shape.kv_heads, shape.kv_heads));
  const at::Tensor attended =
      attend(heads.narrow(0, 0, shape.heads), cache.keys.narrow(1, 0, length_ + n),
             cache.values.narrow(1, 0, length_ + n), block.rule());
  return block.finish(attended, row);
}

at::Tensor Decoder::feed(std::span<const int32_t> ids) {
  const auto n = static_cast<int64_t>(ids.size());
  CHECK(n > 0 && n <= room());
  const at::Device device = model_.options().device;
  at::Tensor tokens = at::empty({n}, at::kInt);
  std::copy(ids.begin(), ids.end(), tokens.mutable_data_ptr<int32_t>());
  const at::Tensor positions = at::arange(length_, length_ + n, at::device(device).dtype(at::kInt));
  at::Tensor x = model_.embedded(tokens.to(device), positions);
  for (size_t i = 0; i < caches_.size(); ++i) x = run_block(i, x, caches_[i]);
  length_ += n;
  const Normed normed = model_.final_norm(x.narrow(0, n - 1, 1).contiguous());
  at::Tensor logits = product(normed.y, model_.outer().head.t()).squeeze(0);
  const double cap = model_.config().final_logit_softcapping;
  return cap > 0 ? logits.div_(cap).tanh_().mul_(cap) : logits;
}

// `logits` in host memory. Samples from the smallest set of most likely ids whose probability
// reaches top_p.
static int32_t choose(const at::Tensor& logits, const GenerateOptions& o, std::mt19937_64& random) {
  if (o.temperature <= 0) return static_cast<int32_t>(logits.argmax().item<int64_t>());
  const at::Tensor p = at::softmax(logits.to(at::kDouble) / o.temperature, -1);
  const auto [sorted, ids] = p.sort(/*stable=*/true, /*dim=*/-1, /*descending=*/true);
  const auto* weight = sorted.const_data_ptr<double>();
  const int64_t size = p.size(0);
  int64_t kept = 0;
  double mass = 0;
  while (kept < size && (kept == 0 || mass < o.top_p)) mass += weight[kept++];
  // 53 random bits: the same number on every standard library.
  double left = static_cast<double>(random() >> 11) * 0x1p-53 * mass;
  int64_t pick = 0;
  while (pick + 1 < kept && left >= weight[pick]) left -= weight[pick++];
  return static_cast<int32_t>(ids[pick].item<int64_t>());
}

Status generate(const Model& model,
                const Tokenizer& tokenizer,
                const GenerateOptions& options,
                const std::function<void(std::string_view)>& emit) {
  std::vector<int32_t> context = TRY(tokenizer.encode_whole(options.prompt));
  if (context.empty() && tokenizer.eos()) context.push_back(*tokenizer.eos());
  if (context.empty()) return Error{Code::invalid_argument, "the prompt is empty", ""};
  std::vector<int32_t> ends = options.ends;
  if (ends.empty() && tokenizer.eos()) ends.push_back(*tokenizer.eos());
  const auto window = static_cast<size_t>(model.options().sequence_len);
  const auto newest = [&](size_t count) {
    return std::span(context).last(std::min(count, context.size()));
  };
  Decoder decoder(model);
  DecodeStream text(tokenizer);
  std::mt19937_64 random(static_cast<uint64_t>(options.seed));
  std::span<const int32_t> next = newest(window);
  for (int64_t made = 0; made < options.max_tokens; ++made) {
    const int32_t id = choose(decoder.feed(next).cpu(), options, random);
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) break;
    context.push_back(id);
    emit(text.push(id));
    next = newest(1);
    if (decoder.room() > 0) continue;
    decoder.clear();
    next = newest(std::max<size_t>(1, window / 2));
  }
  emit(text.finish());
  return ok_status();
}

}  // namespace llmctl
