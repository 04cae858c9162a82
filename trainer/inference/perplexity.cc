#include "trainer/inference/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace llmctl {
namespace {

constexpr int64_t kBatchTokens = 4'096;  // of one forward pass, or one window if that is longer
constexpr int32_t kUncounted = -1;       // a label that adds no loss (trainer/ops/loss.h)

// Windows as one micro-batch, filled one after the other.
class WindowBatch {
 public:
  explicit WindowBatch(int64_t length)
      : length_(length), windows_(std::max<int64_t>(1, kBatchTokens / length)) {
    clear();
  }
  bool full() const { return filled_ == windows_; }
  bool empty() const { return filled_ == 0; }

  // Inputs are ids[begin, end); of their predictions those from `counted` on count. A shorter
  // window is padded behind its end, where no counted token looks.
  void add(std::span<const int32_t> ids, int64_t begin, int64_t end, int64_t counted) {
    auto* inputs = batch_.ids.mutable_data_ptr<int32_t>() + filled_ * length_;
    auto* labels = batch_.labels.mutable_data_ptr<int32_t>() + filled_ * length_;
    for (int64_t at = begin; at < end; ++at) {
      inputs[at - begin] = ids[static_cast<size_t>(at)];
      if (at >= counted) labels[at - begin] = ids[static_cast<size_t>(at) + 1];
    }
    ++filled_;
  }
  double score(Model& model) {
    const int64_t tokens = filled_ * length_;
    const double loss = model
                            .forward({batch_.ids.narrow(0, 0, tokens).clone(),
                                      batch_.labels.narrow(0, 0, tokens).clone()})
                            .item<double>();
    clear();
    return loss;
  }

 private:
  void clear() {
    batch_ = {at::zeros({windows_ * length_}, at::kInt),
              at::full({windows_ * length_}, kUncounted, at::kInt)};
    filled_ = 0;
  }
  int64_t length_, windows_, filled_ = 0;
  MicroBatch batch_;
};

}  // namespace

Result<TextScore> score_text(Model& model,
                             const Tokenizer& tokenizer,
                             std::string_view text,
                             int64_t stride) {
  const int64_t length = model.options().sequence_len;
  CHECK(stride >= 1 && stride <= length);
  std::vector<int32_t> ids;
  TRY(Encoder(tokenizer).append(text, ids));
  const auto lacking = tokenizer.missing_begin(ids);
  ids.insert(ids.begin(), lacking.begin(), lacking.end());
  const int64_t predictions = static_cast<int64_t>(ids.size()) - 1;
  if (predictions < 1) {
    return Error{Code::invalid_argument, "the text has fewer than two tokens", ""};
  }
  WindowBatch batch(length);
  double total = 0;
  for (int64_t begin = 0, done = 0; done < predictions; begin += stride) {
    const int64_t end = std::min(begin + length, predictions);
    batch.add(ids, begin, end, done);
    done = end;
    if (batch.full()) total += batch.score(model);
  }
  if (!batch.empty()) total += batch.score(model);
  TextScore score;
  score.tokens = predictions;
  score.loss = total / static_cast<double>(predictions);
  score.perplexity = std::exp(score.loss);
  score.bits_per_byte = total / std::numbers::ln2 / static_cast<double>(text.size());
  return score;
}

}  // namespace llmctl
