#include "trainer/model/gradient_room.h"

#include <algorithm>

#include "core/base/result.h"

namespace llmctl {

static size_t bytes_of(int64_t elements) {
  return static_cast<size_t>(elements) * sizeof(float);
}

GradientRoom::GradientRoom(const ParameterLayout& layout,
                           at::Tensor gradients,
                           const ModelConfig& config)
    : gradients_(std::move(gradients)) {
  CHECK(gradients_.is_cpu() && gradients_.scalar_type() == at::kFloat);
  const std::vector<ParameterSlot>& slots = layout.slots();  // embedding, blocks, head, vectors
  for (const ParameterSlot& slot : slots) {
    const bool next = slot.name.starts_with(block_parameter(std::ssize(blocks_), ""));
    if (next && slot.offset < layout.matrices_end()) blocks_.push_back(bytes_of(slot.offset));
  }
  CHECK(std::ssize(blocks_) == config.num_hidden_layers);
  CHECK(std::is_sorted(blocks_.begin(), blocks_.end()));
  begin_ = config.tie_word_embeddings ? blocks_.front() : 0;
}

void GradientRoom::open() {
  CHECK(lent_.empty());
  open_end_ = blocks_.back();
  touched_end_ = begin_;
}

LendScope GradientRoom::lend_to(size_t block) {
  limit_ = std::min(blocks_[block], open_end_);
  return LendScope(this);
}

void GradientRoom::take_back(size_t block) {
  close_from(blocks_[block]);
}

void GradientRoom::take_back_all() {
  close_from(begin_);
}

void GradientRoom::close_from(size_t begin) {
  CHECK(lent_.empty() || lent_.rbegin()->second <= begin);
  const size_t end = std::min(open_end_, touched_end_);
  if (end > begin) {
    constexpr auto kSize = static_cast<int64_t>(sizeof(float));
    gradients_
        .narrow(0, static_cast<int64_t>(begin) / kSize, static_cast<int64_t>(end - begin) / kSize)
        .zero_();
  }
  open_end_ = std::min(open_end_, begin);
}

// The first gap that is large enough. There are at most some hundred tensors.
void* GradientRoom::take(size_t bytes) {
  size_t at = begin_;
  for (const auto& [begin, end] : lent_) {
    if (begin >= at + bytes) break;
    at = end;
  }
  if (at + bytes > limit_) return nullptr;
  lent_[at] = at + bytes;
  touched_end_ = std::max(touched_end_, at + bytes);
  return static_cast<char*>(gradients_.data_ptr()) + at;
}

void GradientRoom::give_back(void* bytes) {
  lent_.erase(
      static_cast<size_t>(static_cast<char*>(bytes) - static_cast<char*>(gradients_.data_ptr())));
}

}  // namespace llmctl
