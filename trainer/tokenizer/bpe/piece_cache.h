// The ids of pieces seen before: text repeats its words, so most pieces never reach the merges. Of
// fixed size (4 MiB): a piece has one place, and a later one takes it over. Long pieces are not
// kept. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace llmctl {

class PieceCache {
 public:
  struct alignas(64) Slot {  // a cache line
    uint64_t hash = 0;
    uint8_t bytes = 0, count = 0;  // bytes == 0: empty
    char text[22] = {};
    int32_t ids[8] = {};

    bool holds(uint64_t wanted, std::string_view piece) const {
      return hash == wanted && bytes == piece.size() &&
             std::memcmp(text, piece.data(), piece.size()) == 0;
    }
    void keep(uint64_t wanted, std::string_view piece, std::span<const int32_t> piece_ids) {
      if (piece_ids.size() > std::size(ids)) return;
      hash = wanted;
      bytes = static_cast<uint8_t>(piece.size());
      count = static_cast<uint8_t>(piece_ids.size());
      std::memcpy(text, piece.data(), piece.size());
      std::copy(piece_ids.begin(), piece_ids.end(), ids);
    }
  };
  static_assert(sizeof(Slot) == 64);

  static bool can_hold(std::string_view piece) {
    return !piece.empty() && piece.size() <= sizeof(Slot::text);
  }
  // Requires can_hold().
  static uint64_t hash_of(std::string_view piece);
  Slot& slot_of(uint64_t hash) { return slots_[hash >> 48]; }

 private:
  std::vector<Slot> slots_ = std::vector<Slot>(1 << 16);
};

// Reads 16 bytes around both ends: pieces are short, and a call per byte would cost more than BPE.
inline uint64_t PieceCache::hash_of(std::string_view piece) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15ULL, kOdd2 = 0xD6E8FEB86659FD93ULL;
  const auto read = [](const char* at, size_t n) {
    uint64_t word = 0;
    std::memcpy(&word, at, n);
    return word;
  };
  const size_t n = piece.size();
  uint64_t head = 0, middle = 0, tail = 0;
  if (n >= 8) {
    head = read(piece.data(), 8);
    tail = read(piece.data() + n - 8, 8);
    if (n > 16) middle = read(piece.data() + 8, 8);
  } else if (n >= 4) {
    head = read(piece.data(), 4);
    tail = read(piece.data() + n - 4, 4);
  } else {
    head = static_cast<uint8_t>(piece[0]);
    middle = static_cast<uint8_t>(piece[n / 2]);
    tail = static_cast<uint8_t>(piece[n - 1]);
  }
  uint64_t hash = (head ^ n) * kOdd;
  hash = (hash ^ (hash >> 32) ^ middle) * kOdd2;
  hash = (hash ^ (hash >> 29) ^ tail) * kOdd;
  return (hash ^ (hash >> 32)) * kOdd2;
}

}  // namespace llmctl
