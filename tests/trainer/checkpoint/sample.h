// A small checkpoint of two shards whose bytes depend on (epoch, step, salt).
#pragma once

#include <vector>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/files/content_hash.h"

namespace llmctl {

class SampleCheckpoint {
 public:
  SampleCheckpoint(int64_t epoch, int64_t step, float salt = 0) : epoch_(epoch), step_(step) {
    for (int i = 0; i < 24; ++i) {
      weight_.push_back(static_cast<float>(100 * epoch + step + i) + salt);
    }
  }
  CheckpointContent content() const {
    const auto bytes = std::as_bytes(std::span(weight_));
    return {epoch_,
            step_,
            {{"rank-0", {{"w", DType::f32, {4, 4}, bytes.first(64)}}},
             {"rank-1", {{"m", DType::f32, {8}, bytes.last(32)}}}},
            {{"step", step_}, {"loss", 1.5}}};
  }
  bool equals(const Checkpoint& loaded) const {
    const TensorView* w = loaded.find("w");
    const TensorView* m = loaded.find("m");
    const auto bytes = as_text(std::as_bytes(std::span(weight_)));
    return w != nullptr && m != nullptr && as_text(w->bytes) == bytes.substr(0, 64) &&
           as_text(m->bytes) == bytes.substr(64);
  }

 private:
  int64_t epoch_, step_;
  std::vector<float> weight_;
};

}  // namespace llmctl
