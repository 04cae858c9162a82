#include "trainer/data/prepared_dataset.h"

#include <algorithm>

#include "core/plan/memory_model.h"
#include "trainer/data/shuffle.h"

namespace llmctl {

Result<PreparedDataset> PreparedDataset::open(const JobSpec& spec,
                                              const HashedSources& sources,
                                              const Tokenizer& tokenizer,
                                              const Preparation& preparation) {
  PreparedDataset made(TRY(TokenCache::open_or_build(sources, tokenizer, preparation)),
                       spec.sequence_len);
  const TokenCache& cache = made.cache_;
  if (!packs_documents(spec)) {
    DataSplit split = split_tokens(cache, spec.val_set_size, spec.sequence_len);
    made.train_.stream = std::move(split.train);
    made.validation_.stream = std::move(split.validation);
    return made;
  }
  const auto held_out = held_out_documents(cache, spec.val_set_size);
  DataSplit split = split_documents(cache, held_out);
  const bool chats = preparation.format != nullptr;
  const PackingOptions options{.sequence_len = spec.sequence_len,
                               .key = mix(static_cast<uint64_t>(spec.seed), 0),
                               .share = !chats || spec.sample_packing.value_or(true),
                               .cut = !chats};
  made.train_ = {std::move(split.train), TRY(Packing::first_fit(cache, held_out, false, options))};
  made.validation_ = {std::move(split.validation),
                      TRY(Packing::first_fit(cache, held_out, true, options))};
  return made;
}

int64_t PreparedDataset::sequences(const Side& side) const {
  return side.packing ? side.packing->sequences() : side.stream.sequences(sequence_len_);
}

int64_t PreparedDataset::learned_rows(const Side& side, int64_t sequence) const {
  if (!side.packing) return sequence_len_;
  int64_t rows = 0;
  for (const Piece& piece : side.packing->pieces(sequence)) rows += piece.learned_rows;
  return rows;
}

Status PreparedDataset::fill(const Side& side, int64_t sequence, const SequenceRows& rows) const {
  const auto length = static_cast<size_t>(sequence_len_);
  CHECK(rows.ids.size() == length && rows.labels.size() == length);
  rows.documents.clear();
  if (side.packing) return fill_packed(side.packing->pieces(sequence), rows);
  std::vector<int32_t> ids(length + 1);
  TRY(side.stream.read(cache_, sequence * sequence_len_, ids));
  std::copy_n(ids.begin(), length, rows.ids.begin());
  std::copy_n(ids.begin() + 1, length, rows.labels.begin());
  return ok_status();
}

Status PreparedDataset::fill_packed(std::span<const Piece> pieces, const SequenceRows& rows) const {
  std::vector<int32_t> ids;
  std::vector<uint8_t> learned;
  size_t row = 0;
  for (const Piece& piece : pieces) {
    const auto count = static_cast<size_t>(piece.rows);
    ids.resize(count + 1);
    learned.resize(count);
    TRY(cache_.read(piece.begin, ids));
    TRY(cache_.read_learned(piece.begin + 1, learned));
    rows.documents.push_back(static_cast<int32_t>(row));
    for (size_t i = 0; i < count; ++i, ++row) {
      rows.ids[row] = ids[i];
      rows.labels[row] = learned[i] != 0 ? ids[i + 1] : kMasked;
    }
  }
  // The padding is a document of its own: no other sees it.
  if (row < rows.ids.size()) rows.documents.push_back(static_cast<int32_t>(row));
  std::fill(rows.ids.begin() + static_cast<ptrdiff_t>(row), rows.ids.end(), 0);
  std::fill(rows.labels.begin() + static_cast<ptrdiff_t>(row), rows.labels.end(), kMasked);
  return ok_status();
}

}  // namespace llmctl
