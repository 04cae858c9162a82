// What every form of an optimizer's update takes: views of equal parts of weights, gradients and
// state, and the update's numbers in the precision of the loops.
#pragma once

#include <functional>

#include "trainer/device/tensor.h"
#include "trainer/ops/cuda/kernels/update_elements.h"

namespace llmctl {

struct Moments {
  at::Tensor first, second;  // fp32 or bf16
};

// A moment in 8-bit blocks (quantize_blockwise.h).
struct QuantizedMoment {
  at::Tensor codes;    // u8 [elements]
  at::Tensor largest;  // fp32 [blocks]
  at::Tensor map;      // [511]: its QuantizationMap's values, then middles; undefined on the CPU
  // Requires: `begin` is the first of a block.
  QuantizedMoment of(int64_t begin, int64_t elements) const;
};

// Elements before `decay_end` decay, those from there on do not.
struct AdamWFactorsByDecay {
  int64_t decay_end;
  AdamWFactors decayed, plain;
};
struct LionFactorsByDecay {
  int64_t decay_end;
  LionFactors decayed, plain;
};

struct FlatSpan {
  int64_t offset, elements;
};

// Blocks of 8-bit moments that so many elements need.
int64_t quantized_blocks(int64_t elements);

// Calls `piece` for pieces of [0, elements), of kUpdateWindow elements each: temporaries of ATen
// operators over one are small.
void for_pieces(int64_t elements, const std::function<void(int64_t begin, int64_t size)>& piece);

}  // namespace llmctl
