// Cross-entropy of a row of logits, in place: the row becomes factor * (softmax - onehot), or stays
// as it is when only the loss is wanted. A masked row (label below 0) has no loss and no gradient.
#pragma once

#include "trainer/ops/cuda/kernels/lanes.h"

namespace llmctl::kernels {

struct CrossEntropy {
  float* logits;  // [rows, width]
  const int32_t* labels;
  double* losses;  // [rows]: -log softmax at the label
  int64_t width;
  const float* factor;  // one number; nullptr: only the loss is wanted

  LLMCTL_DEVICE void operator()(int64_t row, const Lanes& l) const {
    const bool gradient = factor != nullptr;
    float* x = logits + row * width;
    const int32_t label = labels[row];
    if (label < 0) {
      if (l.lane == 0) losses[row] = 0;
      for (int64_t i = l.lane; gradient && i < width; i += l.lanes) x[i] = 0;
      return;
    }
    const float at_label = x[label];  // before anybody writes: sum() lets none pass until all came
    float most = x[0];
    for (int64_t i = l.lane; i < width; i += l.lanes) most = x[i] > most ? x[i] : most;
    most = l.largest(most);
    float sum = 0;
    for (int64_t i = l.lane; i < width; i += l.lanes) sum += expf(x[i] - most);
    sum = l.sum(sum);
    if (l.lane == 0) {
      losses[row] =
          log(static_cast<double>(sum)) + static_cast<double>(most) - static_cast<double>(at_label);
    }
    const float scale = gradient ? *factor : 0.0f;
    for (int64_t i = l.lane; gradient && i < width; i += l.lanes) {
      x[i] = expf(x[i] - most) * (scale / sum) - (i == label ? scale : 0.0f);
    }
  }
};

}  // namespace llmctl::kernels
