// From a pair of token ids to a number: the hash table that BPE asks for every two neighbours.
// Open addressing, at most half full. Not thread-safe while it grows.
#pragma once

#include <cstdint>
#include <vector>

namespace llmctl {

class PairTable {
 public:
  static constexpr int32_t kNone = -1;

  int32_t find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t at = home_of(key);; at = (at + 1) & mask_) {
      if (slots_[at].value == kNone) return kNone;
      if (slots_[at].key == key) return slots_[at].value;
    }
  }

  // The value of the pair, which is `value` when it is new. Requires value >= 0.
  int32_t insert(int32_t left, int32_t right, int32_t value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    const uint64_t key = key_of(left, right);
    size_t at = home_of(key);
    for (; slots_[at].value != kNone; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].value;
    }
    slots_[at] = {key, value};
    ++size_;
    return value;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t value = kNone;
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t home_of(uint64_t key) const { return (key * 0x9E3779B97F4A7C15ULL >> 24) & mask_; }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.value == kNone) continue;
      size_t at = home_of(slot.key);
      while (slots_[at].value != kNone) at = (at + 1) & mask_;
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(16);
  size_t size_ = 0, mask_ = 15;
};

}  // namespace llmctl
