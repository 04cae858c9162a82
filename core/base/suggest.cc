#include "core/base/suggest.h"

#include <algorithm>
#include <utility>

namespace llmctl {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, last, row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string did_you_mean(std::string_view wrong, const std::vector<std::string_view>& known) {
  // In three letters anything is near anything (gpu, cpu); nobody misspells a name into 64.
  constexpr size_t kShortest = 4, kLongest = 64;
  if (wrong.size() < kShortest || wrong.size() > kLongest) return "";
  std::string_view best;
  size_t best_distance = wrong.size() / 3 + 1;
  for (std::string_view name : known) {
    const size_t difference =
        wrong.size() < name.size() ? name.size() - wrong.size() : wrong.size() - name.size();
    if (difference >= best_distance) continue;  // the distance is at least that
    const size_t distance = edit_distance(wrong, name);
    if (distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return best.empty() ? "" : "; did you mean \"" + std::string(best) + "\"?";
}

}  // namespace llmctl
