// Training as in Sennrich et al. (arXiv 1508.07909) with incremental counts: a heap of pairs whose
// counts only change in the words that a merge touches, so a merge costs what it changes.
#include <algorithm>
#include <queue>

#include "core/base/limits.h"
#include "trainer/tokenizer/bpe/pair_table.h"
#include "trainer/tokenizer/bpe/word_counts.h"
#include "trainer/tokenizer/parts.h"

namespace llmctl {
namespace {

constexpr int64_t kPhaseMerges = 500;  // between two progress reports

using Pair = std::pair<int32_t, int32_t>;

struct Word {
  size_t first;   // of its symbols
  size_t length;  // in symbols; shrinks
  int64_t count;
};

class MergeLearner {
 public:
  explicit MergeLearner(const std::vector<std::pair<std::string, int64_t>>& words) {
    words_.reserve(words.size());
    for (const auto& [text, count] : words) {
      words_.push_back({symbols_.size(), text.size(), count});
      for (const char c : text) symbols_.push_back(static_cast<uint8_t>(c));
    }
    for (size_t w = 0; w < words_.size(); ++w) {
      const int32_t* symbols = symbols_.data() + words_[w].first;
      for (size_t i = 0; i + 1 < words_[w].length; ++i) {
        gain({symbols[i], symbols[i + 1]}, words_[w].count, static_cast<int32_t>(w));
      }
    }
    offer_changed();
  }

  // The most frequent pair, made one symbol everywhere; nothing left: false.
  bool merge_best(int32_t new_id, Pair& best) {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      Use& use = uses_[top.use];
      if (use.count != top.count) {  // it fell since; growth was offered at once
        if (use.count < top.count) heap_.push({use.count, use.pair, top.use});
        continue;
      }
      if (top.count < kSmallestCount) return false;
      best = use.pair;
      use.count = 0;
      const std::vector<int32_t> in_words = std::move(use.words);
      for (const int32_t word : in_words) merge_in(word, best, new_id);
      offer_changed();
      return true;
    }
    return false;
  }

 private:
  struct Use {
    Pair pair;
    int64_t count = 0;
    std::vector<int32_t> words{};  // where it was ever seen, ascending, each once per growth
    bool grown = false;            // listed in grown_
  };
  struct Candidate {
    int64_t count;
    Pair pair;
    size_t use;
    bool operator<(const Candidate& other) const {  // top: largest count, then smallest ids
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void gain(Pair pair, int64_t by, int32_t word) {
    const auto index = static_cast<size_t>(
        pairs_.insert(pair.first, pair.second, static_cast<int32_t>(uses_.size())));
    if (index == uses_.size()) uses_.push_back({pair});
    Use& use = uses_[index];
    use.count += by;
    if (use.words.empty() || use.words.back() != word) use.words.push_back(word);
    if (!use.grown) grown_.push_back(index);
    use.grown = true;
  }

  void lose(Pair pair, int64_t by) {
    const int32_t index = pairs_.find(pair.first, pair.second);
    if (index != PairTable::kNone) uses_[static_cast<size_t>(index)].count -= by;
  }

  void offer_changed() {
    for (const size_t index : grown_) {
      Use& use = uses_[index];
      use.grown = false;
      heap_.push({use.count, use.pair, index});
    }
    grown_.clear();
  }

  void merge_in(int32_t index, Pair pair, int32_t new_id) {
    Word& word = words_[static_cast<size_t>(index)];
    int32_t* symbols = symbols_.data() + word.first;
    size_t out = 0;
    for (size_t i = 0; i < word.length; ++i) {
      const bool here =
          i + 1 < word.length && symbols[i] == pair.first && symbols[i + 1] == pair.second;
      if (!here) {
        symbols[out++] = symbols[i];
        continue;
      }
      if (out > 0) replace({symbols[out - 1], pair.first}, {symbols[out - 1], new_id}, pair, index);
      if (i + 2 < word.length) {
        replace({pair.second, symbols[i + 2]}, {new_id, symbols[i + 2]}, pair, index);
      }
      symbols[out++] = new_id;
      ++i;
    }
    word.length = out;
  }

  void replace(Pair old, Pair now, Pair merged, int32_t word) {
    const int64_t count = words_[static_cast<size_t>(word)].count;
    if (old != merged) lose(old, count);
    gain(now, count, word);
  }

  std::vector<Word> words_;
  std::vector<int32_t> symbols_;  // of all words
  PairTable pairs_;               // to the index in uses_
  std::vector<Use> uses_;
  std::vector<size_t> grown_;  // pairs that grew in this merge
  std::priority_queue<Candidate> heap_;
};

}  // namespace

class BpeTrainer::Words : public WordCounts {
  using WordCounts::WordCounts;
};

BpeTrainer::BpeTrainer(int threads) : words_(std::make_unique<Words>(usable_threads(threads))) {}
BpeTrainer::~BpeTrainer() = default;

Status BpeTrainer::add(std::string_view text) {
  return words_->add(text);
}

Result<Tokenizer> BpeTrainer::train(int64_t vocab_size,
                                    const PhaseFn& phase,
                                    const std::vector<std::string>& special) {
  const auto least = static_cast<int64_t>(257 + special.size());
  if (vocab_size < least || vocab_size > limits::kVocabSize) {
    return Error{Code::invalid_argument,
                 "tokenizer.train.vocab_size: expected " + std::to_string(least) + " to " +
                     std::to_string(limits::kVocabSize) + ", got " + std::to_string(vocab_size),
                 ""};
  }
  MergeLearner learner(TRY(words_->take()));
  std::vector<Pair> merges;
  const int64_t wanted = vocab_size - least;
  for (Pair best; static_cast<int64_t>(merges.size()) < wanted; merges.push_back(best)) {
    const auto done = static_cast<int64_t>(merges.size());
    if (phase && done % kPhaseMerges == 0) {
      phase("train tokenizer " + std::to_string(100 * done / wanted) + "%");
    }
    if (!learner.merge_best(static_cast<int32_t>(256 + done), best)) break;
  }
  return Tokenizer::parse(byte_level_json(merges, special), "trained tokenizer");
}

Result<Tokenizer> train_bpe(std::span<const std::string_view> texts,
                            int64_t vocab_size,
                            const PhaseFn& phase) {
  BpeTrainer trainer;
  for (const std::string_view text : texts) TRY(trainer.add(text));
  return trainer.train(vocab_size, phase);
}

}  // namespace llmctl
