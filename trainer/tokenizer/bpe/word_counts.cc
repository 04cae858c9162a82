#include "trainer/tokenizer/bpe/word_counts.h"

#include <algorithm>

#include "trainer/tokenizer/pieces/split.h"

namespace llmctl {
namespace {

constexpr size_t kWordBytes = 256;         // longer pieces teach nothing and cost much
constexpr size_t kWords = 4'000'000;       // distinct
constexpr size_t kCountedBytes = 1 << 20;  // at least; a text is not cut

}  // namespace

Status WordCounts::add(std::string_view text) {
  filling_->text += text;
  filling_->ends.push_back(filling_->text.size());
  return filling_->text.size() >= kCountedBytes ? start_batch() : ok_status();
}

Status WordCounts::start_batch() {
  const auto batch = std::exchange(filling_, std::make_shared<Batch>());
  return threads_.add([batch](size_t) { batch->status = count(*batch); },
                      [this, batch] { return merge(*batch); });
}

Status WordCounts::count(Batch& batch) {
  size_t begin = 0;
  for (const size_t end : batch.ends) {
    const auto text = std::string_view(batch.text).substr(begin, end - begin);
    begin = end;
    TRY(gpt2_pattern().split(text, [&](std::string_view piece, bool) {
      if (piece.size() > 1 && piece.size() <= kWordBytes) ++batch.counts[piece];
      return ok_status();
    }));
  }
  return ok_status();
}

Status WordCounts::merge(const Batch& batch) {
  TRY(Status(batch.status));
  for (const auto& [word, count] : batch.counts) {
    const auto known = counts_.find(word);
    if (known == counts_.end()) {
      counts_.emplace(word, count);
    } else {
      known->second += count;
    }
  }
  if (counts_.size() <= kWords) return ok_status();
  // Halves the table at least, so that the cost is spread over many words.
  for (int64_t least = kSmallestCount; counts_.size() > kWords / 2; least *= 2) {
    std::erase_if(counts_, [least](const auto& entry) { return entry.second < least; });
  }
  return ok_status();
}

Result<std::vector<std::pair<std::string, int64_t>>> WordCounts::take() {
  TRY(start_batch());
  TRY(threads_.finish());
  std::vector<std::pair<std::string, int64_t>> words(counts_.begin(), counts_.end());
  std::sort(words.begin(), words.end());
  return words;
}

}  // namespace llmctl
