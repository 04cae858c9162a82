// The gradients' room before anything is written to it. When a step is one pass, gradients are zero
// until their block's backward, and blocks run backward in reverse: so what a block saves may lie
// in the gradients of the blocks before it (and of the embedding, unless the head writes there,
// too), which are cleared again just before they are written. Saves as much memory as the smaller
// of both, for writing those zeros. On the CPU, where every tensor's memory is ours to choose. One
// thread calls it, around one pass at a time.
#pragma once

#include <map>
#include <vector>

#include "trainer/device/device_memory.h"
#include "trainer/model/parameters.h"

namespace llmctl {

class GradientRoom final : public LentMemory {
 public:
  // Keeps `gradients`, and lends nothing of it before open().
  GradientRoom(const ParameterLayout& layout, at::Tensor gradients, const ModelConfig& config);

  void open();  // a pass begins; Requires: gradients are zero
  // While the scope lives, this thread's new tensors lie in the room where they fit.
  LendScope lend_to(size_t block);
  void take_back(size_t block);  // and all after it: they are gradients, and zero, from here on
  void take_back_all();

  void* take(size_t bytes) override;
  void give_back(void* bytes) override;

 private:
  void close_from(size_t begin);

  at::Tensor gradients_;
  size_t begin_ = 0;               // of the room; all in bytes into the gradients
  std::vector<size_t> blocks_;     // where each block's gradients begin
  size_t limit_ = 0;               // of what may be lent now
  size_t open_end_ = 0;            // what was not taken back
  size_t touched_end_ = 0;         // of what was lent since open()
  std::map<size_t, size_t> lent_;  // begin -> end
};

}  // namespace llmctl
