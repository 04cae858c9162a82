#include "trainer/run/data_feed.h"

#include <algorithm>
#include <vector>

namespace llmctl {
namespace {

class Filler {  // collects sequences into one MicroBatch
 public:
  Filler(int64_t sequences, int64_t length) : length_(static_cast<size_t>(length)) {
    batch_.ids = at::empty({sequences * length}, at::kInt);
    batch_.labels = at::empty({sequences * length}, at::kInt);
  }
  SequenceRows next() {
    const size_t row = filled_ * length_;
    return {{batch_.ids.mutable_data_ptr<int32_t>() + row, length_},
            {batch_.labels.mutable_data_ptr<int32_t>() + row, length_},
            documents_};
  }
  void keep() {  // what was written into next()
    for (const int32_t row : documents_) {
      batch_.document_starts.push_back(static_cast<int32_t>(filled_ * length_) + row);
    }
    ++filled_;
  }
  MicroBatch take() { return std::move(batch_); }

 private:
  MicroBatch batch_;
  size_t length_, filled_ = 0;
  std::vector<int32_t> documents_;  // of one sequence
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

DataFeed::Place DataFeed::place(int64_t step, int64_t j) const {
  const int64_t number = step * spec_.global_batch_size + j, per_epoch = batches_.train_sequences();
  return {number / per_epoch, number % per_epoch};
}

Result<MicroBatch> DataFeed::batch(int64_t step, int64_t pass) const {
  Filler filler(plan_.micro_batch_size, spec_.sequence_len);
  for (int64_t i = 0; i < plan_.micro_batch_size; ++i) {
    const Place at = place(step, rank_ + (pass * plan_.micro_batch_size + i) * ranks_);
    TRY(batches_.fill(at.epoch, at.index, filler.next()));
    filler.keep();
  }
  return filler.take();
}

int64_t DataFeed::learned_tokens(int64_t step) const {
  int64_t tokens = 0;
  for (int64_t j = 0; j < spec_.global_batch_size; ++j) {
    const Place at = place(step, j);
    tokens += batches_.learned_rows(at.epoch, at.index);
  }
  return tokens;
}

int64_t DataFeed::validation_sequences() const {
  return std::min(batches_.validation_sequences(),
                  spec_.eval_max_batches * spec_.global_batch_size);
}

int64_t DataFeed::validation_tokens() const {
  int64_t tokens = 0;
  for (int64_t i = 0; i < validation_sequences(); ++i) {
    tokens += batches_.learned_validation_rows(i);
  }
  return tokens;
}

int64_t DataFeed::validation_passes() const {
  const int64_t own = (validation_sequences() - rank_ + ranks_ - 1) / ranks_;
  return (own + plan_.micro_batch_size - 1) / plan_.micro_batch_size;
}

Result<MicroBatch> DataFeed::validation_batch(int64_t pass) const {
  const int64_t own = (validation_sequences() - rank_ + ranks_ - 1) / ranks_;
  const int64_t first = pass * plan_.micro_batch_size;
  const int64_t count = std::min(plan_.micro_batch_size, own - first);
  Filler filler(count, spec_.sequence_len);
  for (int64_t i = 0; i < count; ++i) {
    TRY(batches_.fill_validation(rank_ + (first + i) * ranks_, filler.next()));
    filler.keep();
  }
  return filler.take();
}

}  // namespace llmctl
