#include "trainer/model/saved_activations.h"

namespace llmctl {

// Numbers per row, and the state of a random generator that nobody uses, stay where they are.
static std::vector<at::Tensor*> worth_moving(Block::Saved& saved) {
  constexpr size_t kLeast = 4'096;  // bytes
  std::vector<at::Tensor*> all = tensors_of(saved);
  std::erase_if(all, [](const at::Tensor* tensor) { return tensor->nbytes() < kLeast; });
  return all;
}

SavedActivations::~SavedActivations() {
  if (transfer_ == nullptr) return;
  transfer_->wait_sent();
  transfer_->wait_arrived();
}

void SavedActivations::free_sent() {
  transfer_->wait_sent();
  leaving_ = {};
}

void SavedActivations::keep(size_t block, Block::Saved saved) {
  saved_[block] = std::move(saved);
  if (transfer_ == nullptr) return;
  free_sent();
  if (block + 1 == saved_.size()) return;
  leaving_ = saved_[block];
  for (at::Tensor* tensor : worth_moving(saved_[block])) {
    const at::Tensor host = transfer_->room_for(*tensor);
    transfer_->send(*tensor, host);
    *tensor = host;
  }
}

void SavedActivations::fetch(size_t block) {
  for (at::Tensor* tensor : worth_moving(saved_[block])) *tensor = transfer_->fetch(*tensor);
}

Block::Saved SavedActivations::take(size_t block) {
  if (transfer_ != nullptr) {
    transfer_->wait_arrived();
    if (block > 0) fetch(block - 1);
  }
  return std::move(saved_[block]);
}

}  // namespace llmctl
