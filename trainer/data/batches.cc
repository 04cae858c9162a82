#include "trainer/data/batches.h"

#include <sstream>

#include "core/base/clock.h"
#include "core/plan/memory_model.h"
#include "trainer/data/cache/job_tokenizer.h"
#include "trainer/data/mixture.h"
#include "trainer/data/prepared_dataset.h"
#include "trainer/data/sources/source_hash.h"
#include "trainer/files/content_hash.h"

namespace llmctl {
namespace fs = std::filesystem;

struct Batches::Parts {
  Tokenizer tokenizer;
  std::vector<PreparedDataset> datasets;  // one, unless they have weights
  Mixture mixture;
  std::string content_hash;
  DataFacts facts;
};

Batches::Batches(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Batches::~Batches() = default;
Batches::Batches(Batches&&) noexcept = default;
Batches& Batches::operator=(Batches&&) noexcept = default;

namespace {

// The files of a job in groups that are tokenized together: all of them, or with weights those of
// each dataset.
struct Sources {
  HashedSources all;
  std::vector<HashedSources> groups;
  std::vector<double> weights;  // of each group; empty: none
};

Result<Sources> list_groups(const JobSpec& spec, const fs::path& cache_dir, const PhaseFn& phase) {
  Sources sources;
  const bool weighted = spec.datasets.front().weight.has_value();
  if (weighted) {
    for (const DatasetSpec& dataset : spec.datasets) {
      sources.groups.push_back({TRY(list_sources({dataset}, spec.method)), ""});
      sources.weights.push_back(dataset.weight.value_or(1));
    }
  } else {
    sources.groups.push_back({TRY(list_sources(spec.datasets, spec.method)), ""});
  }
  std::string hashes;
  for (HashedSources& group : sources.groups) {
    group.state = TRY(state_of_sources(group.files));
    group.hash = TRY(hash_sources(group.files, cache_dir, SystemClock().unix_ms(), phase));
    hashes += group.hash;
    sources.all.files.insert(sources.all.files.end(), group.files.begin(), group.files.end());
  }
  sources.all.hash = weighted ? content_hash(hashes) : hashes;
  sources.all.state =
      weighted ? TRY(state_of_sources(sources.all.files)) : sources.groups.front().state;
  return sources;
}

// Of all that decides which sequence comes when, but for seed and sequence_len.
std::string content_of(const JobSpec& spec,
                       const Sources& sources,
                       const Tokenizer& tokenizer,
                       const ChatFormat* format) {
  std::ostringstream key;
  key << sources.all.hash << tokenizer.fingerprint();
  if (format != nullptr) key << format->fingerprint();
  if (packs_documents(spec)) key << "packed" << spec.sample_packing.value_or(true);
  for (const double weight : sources.weights) key << ' ' << std::hexfloat << weight;
  return content_hash(key.str());
}

Error too_little(const JobSpec& spec, const PreparedDataset& dataset) {
  const auto& packing = dataset.train().packing;
  if (packing && packing->dropped() > 0) {
    const std::string count = std::to_string(packing->dropped());
    const std::string least = std::to_string(packing->shortest_kept());
    return {
        Code::failed_precondition,
        "datasets: nothing is left to learn: in all " + count +
            " documents to train on the answers begin beyond sequence_len " +
            std::to_string(spec.sequence_len),
        "raise sequence_len: with " + least + " the first of them keeps a token, with more all"};
  }
  return {Code::failed_precondition,
          "datasets: " + std::to_string(dataset.cache().tokens()) +
              " tokens, too few for one training sequence of " + std::to_string(spec.sequence_len) +
              " and validation beside it",
          "add text, or lower sequence_len or val_set_size"};
}

void tell_truncated(const DataFacts& facts, const JobSpec& spec, const PhaseFn& phase) {
  if (facts.truncated_documents == 0 || !phase) return;
  std::string text = std::to_string(facts.truncated_documents) +
                     " documents are longer than sequence_len " +
                     std::to_string(spec.sequence_len) + ": their end is not learned";
  if (facts.dropped_documents > 0) {
    text += ", nothing at all of " + std::to_string(facts.dropped_documents) + " of them";
  }
  phase(text);
}

}  // namespace

Result<Batches> Batches::open(const JobSpec& spec,
                              const fs::path& cache_dir,
                              int threads,
                              const PhaseFn& phase) {
  CHECK(!spec.datasets.empty());
  std::optional<ChatFormat> chats;
  if (spec.method == "sft") chats = TRY(ChatFormat::open(spec));
  const Preparation preparation{
      .format = chats ? &*chats : nullptr,
      .cache_dir = cache_dir,
      .threads = threads,
      .phase = phase,
  };
  const Sources sources = TRY(list_groups(spec, cache_dir, phase));
  auto tokenizer = TRY(job_tokenizer(spec, sources.all, preparation));
  std::vector<PreparedDataset> datasets;
  std::vector<int64_t> sequences;
  for (const HashedSources& group : sources.groups) {
    datasets.push_back(TRY(PreparedDataset::open(spec, group, tokenizer, preparation)));
    const PreparedDataset& dataset = datasets.back();
    sequences.push_back(dataset.sequences(dataset.train()));
    if (sequences.back() == 0) return too_little(spec, dataset);
  }
  std::string content = content_of(spec, sources, tokenizer, preparation.format);
  const DataFacts facts = TRY(data_facts(datasets, content, spec, cache_dir));
  tell_truncated(facts, spec, phase);
  return Batches(std::make_unique<Parts>(
      Parts{std::move(tokenizer), std::move(datasets),
            Mixture(std::move(sequences), sources.weights, spec.seed), std::move(content), facts}));
}

const Tokenizer& Batches::tokenizer() const {
  return parts_->tokenizer;
}
int64_t Batches::documents() const {
  size_t documents = 0;
  for (const auto& dataset : parts_->datasets) documents += dataset.cache().document_ends().size();
  return static_cast<int64_t>(documents);
}
int64_t Batches::train_sequences() const {
  return parts_->mixture.per_epoch();
}
int64_t Batches::validation_sequences() const {
  int64_t sequences = 0;
  for (const auto& dataset : parts_->datasets) sequences += dataset.sequences(dataset.validation());
  return sequences;
}
const std::string& Batches::content_hash() const {
  return parts_->content_hash;
}
const DataFacts& Batches::facts() const {
  return parts_->facts;
}

Status Batches::fill(int64_t epoch, int64_t index, const SequenceRows& rows) const {
  const Mixture::Draw draw = parts_->mixture.draw(epoch, index);
  const PreparedDataset& dataset = parts_->datasets[draw.dataset];
  return dataset.fill(dataset.train(), draw.sequence, rows);
}

int64_t Batches::learned_rows(int64_t epoch, int64_t index) const {
  const Mixture::Draw draw = parts_->mixture.draw(epoch, index);
  const PreparedDataset& dataset = parts_->datasets[draw.dataset];
  return dataset.learned_rows(dataset.train(), draw.sequence);
}

// The dataset that validation sequence `index` is of; `index` becomes its number there.
static const PreparedDataset& validation_dataset(const std::vector<PreparedDataset>& datasets,
                                                 int64_t& index) {
  CHECK(index >= 0);
  for (const PreparedDataset& dataset : datasets) {
    const int64_t own = dataset.sequences(dataset.validation());
    if (index < own) return dataset;
    index -= own;
  }
  CHECK(false && "no such validation sequence");
}

Status Batches::fill_validation(int64_t index, const SequenceRows& rows) const {
  const PreparedDataset& dataset = validation_dataset(parts_->datasets, index);
  return dataset.fill(dataset.validation(), index, rows);
}

int64_t Batches::learned_validation_rows(int64_t index) const {
  const PreparedDataset& dataset = validation_dataset(parts_->datasets, index);
  return dataset.learned_rows(dataset.validation(), index);
}

}  // namespace llmctl
