#include "trainer/data_feed.h"

#include <algorithm>
#include <vector>

namespace llmctl {
namespace {

class Filler {  // collects sequences into one MicroBatch
 public:
  Filler(int64_t sequences, int64_t length)
      : batch_{at::empty({sequences * length}, at::kInt),
               at::empty({sequences * length}, at::kInt)},
        ids_(static_cast<size_t>(length) + 1) {}
  std::span<int32_t> next() { return ids_; }
  void keep() {  // what was written into next()
    const size_t length = ids_.size() - 1;
    auto* inputs = batch_.ids.mutable_data_ptr<int32_t>() + filled_ * length;
    auto* labels = batch_.labels.mutable_data_ptr<int32_t>() + filled_ * length;
    std::copy_n(ids_.begin(), length, inputs);
    std::copy_n(ids_.begin() + 1, length, labels);
    ++filled_;
  }
  MicroBatch take() { return std::move(batch_); }

 private:
  MicroBatch batch_;
  std::vector<int32_t> ids_;
  size_t filled_ = 0;
};

}  // namespace

DataFeed::DataFeed(
    const Batches& batches, const JobSpec& spec, const Plan& plan, int64_t rank, int64_t ranks)
    : batches_(batches), spec_(spec), plan_(plan), rank_(rank), ranks_(ranks) {}

Status DataFeed::check() const {
  const int64_t planned = plan_.micro_batch_size * plan_.gradient_accumulation_steps * ranks_;
  if (planned != spec_.global_batch_size) {
    return Error{Code::invalid_argument,
                 "plan: micro_batch_size x gradient_accumulation_steps x ranks is " +
                     std::to_string(planned) + ", global_batch_size is " +
                     std::to_string(spec_.global_batch_size),
                 ""};
  }
  const int64_t ids = batches_.tokenizer().vocab_size(), rows = spec_.model.config.vocab_size;
  if (ids > rows) {
    return Error{Code::invalid_argument,
                 "model.vocab_size is " + std::to_string(rows) + ", the tokenizer needs " +
                     std::to_string(ids),
                 ""};
  }
  return ok_status();
}

MicroBatch DataFeed::batch(int64_t step, int64_t pass) const {
  Filler filler(plan_.micro_batch_size, spec_.sequence_len);
  const int64_t per_epoch = batches_.train_sequences();
  for (int64_t i = 0; i < plan_.micro_batch_size; ++i) {
    const int64_t j = rank_ + (pass * plan_.micro_batch_size + i) * ranks_;
    const int64_t number = step * spec_.global_batch_size + j;
    batches_.fill(number / per_epoch, number % per_epoch, filler.next());
    filler.keep();
  }
  return filler.take();
}

int64_t DataFeed::validation_sequences() const {
  return std::min(batches_.validation_sequences(),
                  spec_.eval_max_batches * spec_.global_batch_size);
}

int64_t DataFeed::validation_passes() const {
  const int64_t own = (validation_sequences() - rank_ + ranks_ - 1) / ranks_;
  return (own + plan_.micro_batch_size - 1) / plan_.micro_batch_size;
}

MicroBatch DataFeed::validation_batch(int64_t pass) const {
  const int64_t own = (validation_sequences() - rank_ + ranks_ - 1) / ranks_;
  const int64_t first = pass * plan_.micro_batch_size;
  const int64_t count = std::min(plan_.micro_batch_size, own - first);
  Filler filler(count, spec_.sequence_len);
  for (int64_t i = 0; i < count; ++i) {
    batches_.fill_validation(rank_ + (first + i) * ranks_, filler.next());
    filler.keep();
  }
  return filler.take();
}

}  // namespace llmctl
