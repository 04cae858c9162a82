// Training as in Sennrich et al. (arXiv 1508.07909) with incremental counts: a heap of pairs whose
// counts only change in the words that a merge touches, so a merge costs what it changes.
#include <algorithm>
#include <queue>
#include <set>
#include <unordered_map>

#include "core/limits.h"
#include "trainer/bpe_alphabet.h"
#include "trainer/pretokenizer.h"
#include "trainer/tokenizer_parts.h"

namespace llmctl {
namespace {

constexpr size_t kWordBytes = 256;     // longer pieces teach nothing and cost much
constexpr size_t kWords = 4'000'000;   // distinct; beyond it the rarest are forgotten
constexpr int64_t kSmallestCount = 2;  // a pair seen once is not worth an id

using Pair = std::pair<int32_t, int32_t>;
struct PairHash {
  size_t operator()(const Pair& pair) const {
    const auto both = static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second);
    return std::hash<uint64_t>{}(both * 0x9E3779B97F4A7C15ULL);
  }
};

struct Word {
  std::vector<int32_t> symbols;
  int64_t count;
};

class MergeLearner {
 public:
  explicit MergeLearner(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t w = 0; w < words_.size(); ++w) {
      const auto& symbols = words_[w].symbols;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        change({symbols[i], symbols[i + 1]}, words_[w].count, static_cast<int32_t>(w));
      }
    }
    for (const auto& [pair, use] : uses_) heap_.push({use.count, pair});
  }

  // The most frequent pair, made one symbol everywhere; nothing left: false.
  bool merge_best(int32_t new_id, Pair& best) {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      const auto found = uses_.find(top.pair);
      if (found == uses_.end()) continue;
      if (found->second.count != top.count) {
        if (found->second.count < top.count) heap_.push({found->second.count, top.pair});
        continue;
      }
      if (top.count < kSmallestCount) return false;
      best = top.pair;
      const Use use = std::move(found->second);
      uses_.erase(found);
      for (const int32_t word : use.words) merge_in(word, best, new_id);
      for (const Pair& pair : touched_) heap_.push({uses_[pair].count, pair});
      touched_.clear();
      return true;
    }
    return false;
  }

 private:
  struct Use {
    int64_t count = 0;
    std::vector<int32_t> words;  // where it was ever seen, ascending, each once per growth
  };
  struct Candidate {
    int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {  // top: largest count, then smallest ids
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void change(Pair pair, int64_t by, int32_t word) {
    Use& use = uses_[pair];
    use.count += by;
    if (by > 0 && (use.words.empty() || use.words.back() != word)) use.words.push_back(word);
  }

  void merge_in(int32_t index, Pair pair, int32_t new_id) {
    Word& word = words_[static_cast<size_t>(index)];
    auto& symbols = word.symbols;
    size_t out = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool here =
          i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
      if (!here) {
        symbols[out++] = symbols[i];
        continue;
      }
      if (out > 0) {
        lose({symbols[out - 1], pair.first}, pair, word.count, index);
        gain({symbols[out - 1], new_id}, word.count, index);
      }
      if (i + 2 < symbols.size()) {
        lose({pair.second, symbols[i + 2]}, pair, word.count, index);
        gain({new_id, symbols[i + 2]}, word.count, index);
      }
      symbols[out++] = new_id;
      ++i;
    }
    symbols.resize(out);
  }

  void lose(Pair pair, Pair merged, int64_t count, int32_t word) {
    if (pair != merged && uses_.count(pair) > 0) change(pair, -count, word);
  }
  void gain(Pair pair, int64_t count, int32_t word) {
    change(pair, count, word);
    touched_.insert(pair);
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, Use, PairHash> uses_;
  std::priority_queue<Candidate> heap_;
  std::set<Pair> touched_;  // pairs that grew in this merge
};

}  // namespace

struct BpeTrainer::Words {
  std::unordered_map<std::string, int64_t> counts;
};

namespace {

// Halves the table at least, so that the cost is spread over many words.
void forget_rare(std::unordered_map<std::string, int64_t>& counts) {
  for (int64_t least = kSmallestCount; counts.size() > kWords / 2; least *= 2) {
    std::erase_if(counts, [least](const auto& entry) { return entry.second < least; });
  }
}

}  // namespace

BpeTrainer::BpeTrainer() : words_(std::make_unique<Words>()) {}
BpeTrainer::~BpeTrainer() = default;

Status BpeTrainer::add(std::string_view text) {
  auto& counts = words_->counts;
  return gpt2_pattern().split(text, [&](std::string_view piece, bool) {
    if (piece.size() > 1 && piece.size() <= kWordBytes) ++counts[std::string(piece)];
    if (counts.size() > kWords) forget_rare(counts);
    return ok_status();
  });
}

Result<Tokenizer> BpeTrainer::train(int64_t vocab_size, const PhaseFn& phase) const {
  if (vocab_size < 257 || vocab_size > limits::kVocabSize) {
    return Error{Code::invalid_argument,
                 "tokenizer.train.vocab_size: expected 257 to " +
                     std::to_string(limits::kVocabSize) + ", got " + std::to_string(vocab_size),
                 ""};
  }
  // Sorted, so that nothing depends on the hash map's order.
  std::vector<std::pair<std::string, int64_t>> sorted(words_->counts.begin(), words_->counts.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<Word> words;
  words.reserve(sorted.size());
  for (const auto& [text, count] : sorted) {
    Word word{{}, count};
    for (const char c : text) word.symbols.push_back(static_cast<uint8_t>(c));
    words.push_back(std::move(word));
  }
  MergeLearner learner(std::move(words));
  std::vector<Pair> merges;
  const int64_t wanted = vocab_size - 257;
  for (Pair best; static_cast<int64_t>(merges.size()) < wanted; merges.push_back(best)) {
    const auto done = static_cast<int64_t>(merges.size());
    if (phase && done % 500 == 0) {
      phase("train tokenizer " + std::to_string(100 * done / wanted) + "%");
    }
    if (!learner.merge_best(static_cast<int32_t>(256 + done), best)) break;
  }
  return Tokenizer::parse(byte_level_json(merges), "trained tokenizer");
}

Result<Tokenizer> train_bpe(std::span<const std::string_view> texts,
                            int64_t vocab_size,
                            const PhaseFn& phase) {
  BpeTrainer trainer;
  for (const std::string_view text : texts) TRY(trainer.add(text));
  return trainer.train(vocab_size, phase);
}

}  // namespace llmctl
