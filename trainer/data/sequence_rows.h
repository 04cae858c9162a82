// One training sequence, as whoever wants it has room for it. Views; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llmctl {

inline constexpr int32_t kMasked = -1;  // a label that is not learned

struct SequenceRows {               // of one sequence, to be filled
  std::span<int32_t> ids, labels;   // sequence_len each; labels: the next token, or kMasked
  std::vector<int32_t>& documents;  // the row of each one's first token; stays empty unless packed
};

}  // namespace llmctl
