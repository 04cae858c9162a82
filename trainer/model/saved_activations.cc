#include "trainer/model/saved_activations.h"

namespace llmctl {

// Numbers per row, and the state of a random generator that nobody uses, stay where they are.
static std::vector<at::Tensor*> worth_moving(Block::Saved& saved) {
  constexpr size_t kLeast = 4'096;  // bytes
  std::vector<at::Tensor*> all = tensors_of(saved);
  std::erase_if(all, [](const at::Tensor* tensor) { return tensor->nbytes() < kLeast; });
  return all;
}

SavedBlocks::~SavedBlocks() {
  if (copies_ == nullptr) return;
  copies_->wait_sent();
  copies_->wait_arrived();
}

void SavedBlocks::let_go() {
  copies_->wait_sent();
  leaving_ = {};
}

void SavedBlocks::keep(size_t block, Block::Saved saved) {
  saved_[block] = std::move(saved);
  if (copies_ == nullptr) return;
  let_go();
  if (block + 1 == saved_.size()) return;
  leaving_ = saved_[block];
  for (at::Tensor* tensor : worth_moving(saved_[block])) {
    const at::Tensor host = copies_->room_for(*tensor);
    copies_->send(*tensor, host);
    *tensor = host;
  }
}

void SavedBlocks::fetch(size_t block) {
  for (at::Tensor* tensor : worth_moving(saved_[block])) *tensor = copies_->fetch(*tensor);
}

Block::Saved SavedBlocks::take(size_t block) {
  if (copies_ != nullptr) {
    copies_->wait_arrived();
    if (block > 0) fetch(block - 1);
  }
  return std::move(saved_[block]);
}

}  // namespace llmctl
