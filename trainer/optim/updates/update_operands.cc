#include "trainer/optim/updates/update_operands.h"

#include <algorithm>

#include "core/training/optimizer_facts.h"

namespace llmctl {

int64_t quantized_blocks(int64_t elements) {
  return (elements + kQuantizedBlock - 1) / kQuantizedBlock;
}

QuantizedMoment QuantizedMoment::of(int64_t begin, int64_t elements) const {
  return {codes.narrow(0, begin, elements),
          largest.narrow(0, begin / kQuantizedBlock, quantized_blocks(elements)), map};
}

void for_pieces(int64_t elements, const std::function<void(int64_t begin, int64_t size)>& piece) {
  for (int64_t begin = 0; begin < elements; begin += kUpdateWindow) {
    piece(begin, std::min(kUpdateWindow, elements - begin));
  }
}

}  // namespace llmctl
