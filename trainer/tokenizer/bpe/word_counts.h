// How often each word (piece of GPT-2's splitting) occurs in a text, counted on several threads.
// The counts do not depend on their number. Bounded: beyond millions of distinct words the rarest
// are forgotten. One thread calls it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "trainer/files/ordered_threads.h"

namespace llmctl {

inline constexpr int64_t kSmallestCount = 2;  // what occurs once is not worth an id

class WordCounts {
 public:
  explicit WordCounts(size_t threads) : threads_(threads) {}
  Status add(std::string_view text);
  // All words by their bytes, so that nothing depends on a hash. After the last add().
  Result<std::vector<std::pair<std::string, int64_t>>> take();

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Batch {
    std::string text;
    std::vector<size_t> ends;  // of texts: a word does not go over one
    std::unordered_map<std::string_view, int64_t> counts;
    Status status = ok_status();
  };
  Status start_batch();
  static Status count(Batch& batch);
  Status merge(const Batch& batch);

  std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>> counts_;
  std::shared_ptr<Batch> filling_ = std::make_shared<Batch>();
  OrderedThreads threads_;
};

}  // namespace llmctl
