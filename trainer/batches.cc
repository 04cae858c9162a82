#include "trainer/batches.h"

#include <bit>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/clock.h"
#include "trainer/batches_order.h"
#include "trainer/content_hash.h"
#include "trainer/data_split.h"
#include "trainer/dataset.h"
#include "trainer/disk.h"
#include "trainer/source_hash.h"
#include "trainer/token_cache.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr int kFeistelRounds = 8;

// What was counted of one split of one cache, remembered beside it: a small JSON file.
Result<DataFacts> remembered_facts(const fs::path& file) {
  const auto mapped = TRY(MappedFile::open(file));
  const auto json = nlohmann::json::parse(as_text(mapped->bytes()), nullptr, false);
  const auto number = [&](const char* key) { return json.contains(key) && json[key].is_number(); };
  if (!json.is_object() || !number("train_tokens") || !number("validation_tokens") ||
      !number("unigram_entropy")) {
    return Error{Code::data_loss, file.string() + ": damaged", ""};
  }
  return DataFacts{json["train_tokens"], json["validation_tokens"], json["unigram_entropy"]};
}

// The file is named by all that the facts depend on. Not being able to write it costs only time.
DataFacts facts_of(const TokenCache& cache,
                   const DataSplit& split,
                   const std::string& content,
                   const JobSpec& spec,
                   const fs::path& cache_dir) {
  std::ostringstream key;
  key << content << ' ' << std::hexfloat << spec.val_set_size << ' ' << spec.sequence_len;
  const fs::path file = cache_dir / ("facts-" + content_hash(key.str()) + ".json");
  const auto known = remembered_facts(file);
  if (known.ok() && known->train_tokens == split.train.tokens()) return *known;
  const DataFacts facts{split.train.tokens(), split.validation.tokens(),
                        unigram_entropy(cache, split.train)};
  const std::string json = nlohmann::json{{"train_tokens", facts.train_tokens},
                                          {"validation_tokens", facts.validation_tokens},
                                          {"unigram_entropy", facts.unigram_entropy}}
                               .dump() +
                           "\n";
  const auto bytes = as_bytes(json);
  (void)replace_file(file, std::span(&bytes, 1));
  return facts;
}

Result<Tokenizer> trained_tokenizer(const std::vector<SourceFile>& sources,
                                    const std::string& sources_hash,
                                    int64_t vocab_size,
                                    const fs::path& cache_dir,
                                    int threads,
                                    const PhaseFn& phase) {
  const std::string key = content_hash(sources_hash + "bpe" + std::to_string(vocab_size));
  const fs::path directory = cache_dir / ("tokenizer-" + key);
  const fs::path file = directory / "tokenizer.json";
  std::error_code failed;
  fs::create_directories(directory, failed);
  auto ready = Tokenizer::load(file);
  if (ready.ok()) return ready;
  const auto lock = TRY(BuildLock::acquire(file, phase));
  ready = Tokenizer::load(file);
  if (ready.ok()) return ready;
  BpeTrainer trainer(threads);
  for (const SourceFile& source : sources) {
    if (phase) phase("count words of " + source.path.filename().string());
    TRY(for_each_document(source, [&](std::string_view text) { return trainer.add(text); }));
  }
  const auto tokenizer = TRY(trainer.train(vocab_size, phase));
  TRY(tokenizer.save(file));
  return Tokenizer::load(file);
}

}  // namespace

int64_t shuffled(int64_t index, int64_t count, uint64_t key) {
  CHECK(index >= 0 && index < count);
  const auto bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(count - 1)));
  const int half_bits = (bits + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  auto value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint64_t round = 0; round < kFeistelRounds; ++round) {
      const uint64_t next = left ^ (mix(right, mix(round, key)) & mask);
      left = right;
      right = next;
    }
    value = left << half_bits | right;
  } while (value >= static_cast<uint64_t>(count));
  return static_cast<int64_t>(value);
}

struct Batches::Parts {
  Tokenizer tokenizer;
  TokenCache cache;
  DataSplit split;
  int64_t sequence_len, seed;
  std::string content_hash;
  DataFacts facts;
};

Batches::Batches(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Batches::~Batches() = default;
Batches::Batches(Batches&&) noexcept = default;
Batches& Batches::operator=(Batches&&) noexcept = default;

Result<Batches> Batches::open(const JobSpec& spec,
                              const fs::path& cache_dir,
                              int threads,
                              const PhaseFn& phase) {
  const auto sources = TRY(list_sources(spec.datasets));
  const auto hash = TRY(hash_sources(sources, cache_dir, SystemClock().unix_ms(), phase));
  auto tokenizer = spec.tokenizer.kind == TokenizerSpec::Kind::bytes ? Tokenizer::bytes()
                   : spec.tokenizer.kind == TokenizerSpec::Kind::file
                       ? TRY(Tokenizer::load(spec.tokenizer.path))
                       : TRY(trained_tokenizer(sources, hash, spec.tokenizer.vocab_size, cache_dir,
                                               threads, phase));
  auto cache = TRY(TokenCache::open_or_build(sources, hash, tokenizer, cache_dir, threads, phase));
  auto split = split_tokens(cache, spec.val_set_size, spec.sequence_len);
  if (split.train.sequences(spec.sequence_len) == 0) {
    return Error{Code::failed_precondition,
                 "datasets: " + std::to_string(cache.tokens()) +
                     " tokens, too few for one training sequence of " +
                     std::to_string(spec.sequence_len) + " and validation beside it",
                 "add text, or lower sequence_len or val_set_size"};
  }
  std::string content = llmctl::content_hash(hash + tokenizer.fingerprint());
  const DataFacts facts = facts_of(cache, split, content, spec, cache_dir);
  return Batches(
      std::make_unique<Parts>(Parts{std::move(tokenizer), std::move(cache), std::move(split),
                                    spec.sequence_len, spec.seed, std::move(content), facts}));
}

const Tokenizer& Batches::tokenizer() const {
  return parts_->tokenizer;
}
int64_t Batches::documents() const {
  return static_cast<int64_t>(parts_->cache.document_ends().size());
}
int64_t Batches::train_sequences() const {
  return parts_->split.train.sequences(parts_->sequence_len);
}
int64_t Batches::validation_sequences() const {
  return parts_->split.validation.sequences(parts_->sequence_len);
}
const std::string& Batches::content_hash() const {
  return parts_->content_hash;
}
const DataFacts& Batches::facts() const {
  return parts_->facts;
}

void Batches::fill(int64_t epoch, int64_t index, std::span<int32_t> ids) const {
  CHECK(epoch >= 0 && static_cast<int64_t>(ids.size()) == parts_->sequence_len + 1);
  const uint64_t key =
      mix(static_cast<uint64_t>(epoch), mix(static_cast<uint64_t>(parts_->seed), 1));
  const int64_t sequence = shuffled(index, train_sequences(), key);
  parts_->split.train.read(parts_->cache, sequence * parts_->sequence_len, ids);
}

void Batches::fill_validation(int64_t index, std::span<int32_t> ids) const {
  CHECK(index >= 0 && index < validation_sequences());
  CHECK(static_cast<int64_t>(ids.size()) == parts_->sequence_len + 1);
  parts_->split.validation.read(parts_->cache, index * parts_->sequence_len, ids);
}

}  // namespace llmctl
