// A shuffle that needs no memory: a keyed permutation of 0..count-1, computed for one index at a
// time. A Feistel network over the smallest even number of bits that holds count, walked along its
// cycle until the value lies inside (Black and Rogaway, "Ciphers with Arbitrary Finite Domains",
// CT-RSA 2002). Pure; stable for ever: checkpoints rely on the order.
#pragma once

#include <cstdint>

namespace llmctl {

// Requires 0 <= index < count. Equal (key, count): a permutation.
int64_t shuffled(int64_t index, int64_t count, uint64_t key);

// SplitMix64's finalizer: an even spread of a keyed number.
uint64_t mix(uint64_t value, uint64_t key);

}  // namespace llmctl
