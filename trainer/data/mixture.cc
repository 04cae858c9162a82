#include "trainer/data/mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/result.h"
#include "trainer/data/shuffle.h"

namespace llmctl {
namespace {

// Whole places in proportion to the weights, at least one each, `total` together; what rounding
// leaves over goes to the largest.
std::vector<int64_t> apportion(int64_t total, const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int64_t> shares;
  for (const double weight : weights) {
    const double exact = static_cast<double>(total) * (weight / sum);
    shares.push_back(std::max<int64_t>(1, std::llround(std::floor(exact))));
  }
  const auto largest = std::max_element(shares.begin(), shares.end());
  *largest += total - std::accumulate(shares.begin(), shares.end(), int64_t{0});
  return shares;
}

uint64_t key_of(uint64_t epoch, uint64_t seed, uint64_t what) {
  return mix(epoch, mix(seed, what));
}

}  // namespace

Mixture::Mixture(std::vector<int64_t> sequences, const std::vector<double>& weights, int64_t seed)
    : sequences_(std::move(sequences)),
      weighted_(!weights.empty()),
      seed_(static_cast<uint64_t>(seed)),
      per_epoch_(std::accumulate(sequences_.begin(), sequences_.end(), int64_t{0})) {
  CHECK(weighted_ ? weights.size() == sequences_.size() : sequences_.size() == 1);
  shares_ = weighted_ ? apportion(per_epoch_, weights) : std::vector{per_epoch_};
}

Mixture::Draw Mixture::draw(int64_t epoch, int64_t index) const {
  CHECK(epoch >= 0);
  const auto number = static_cast<uint64_t>(epoch);
  int64_t place = shuffled(index, per_epoch_, key_of(number, seed_, 1));
  if (!weighted_) return {0, place};
  size_t dataset = 0;
  while (place >= shares_[dataset]) place -= shares_[dataset++];
  // How often this dataset was drawn before: its share of each earlier epoch, and the places before
  // this one.
  const int64_t drawn = epoch * shares_[dataset] + place, own = sequences_[dataset];
  const auto round = static_cast<uint64_t>(drawn / own);
  return {dataset, shuffled(drawn % own, own, key_of(round, seed_, 2 + dataset))};
}

}  // namespace llmctl
