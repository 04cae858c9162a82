#include "trainer/data/facts.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "trainer/data/cache/prune.h"
#include "trainer/data/prepared_dataset.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kReadTokens = 64 << 10;

// What was counted of one split of one job's data, remembered beside the caches: a small JSON file.
Result<double> remembered_entropy(const fs::path& file) {
  const auto mapped = TRY(MappedFile::open(file));
  const auto json = nlohmann::json::parse(as_text(mapped->bytes()), nullptr, false);
  if (!json.is_object() || !json.contains("unigram_entropy") ||
      !json["unigram_entropy"].is_number()) {
    return Error{Code::data_loss, file.string() + ": damaged", ""};
  }
  return json["unigram_entropy"].get<double>();
}

// The file is named by all that the number depends on. Not being able to write it costs only time.
Result<double> entropy_of(const std::vector<PreparedDataset>& datasets,
                          const std::string& content,
                          const JobSpec& spec,
                          const fs::path& cache_dir) {
  std::ostringstream key;
  key << content << ' ' << std::hexfloat << spec.val_set_size << ' ' << spec.sequence_len;
  const fs::path file = cache_dir / ("facts-" + content_hash(key.str()) + ".json");
  auto known = remembered_entropy(file);
  if (known.ok()) {
    mark_used(file);
    return known;
  }
  std::vector<int64_t> counts;
  for (const PreparedDataset& dataset : datasets) {
    TRY(count_ids(dataset.cache(), dataset.train().stream, counts));
  }
  const double entropy = unigram_entropy(counts);
  const std::string json = nlohmann::json{{"unigram_entropy", entropy}}.dump() + "\n";
  const auto bytes = as_bytes(json);
  (void)replace_file(file, std::span(&bytes, 1));
  return entropy;
}

}  // namespace

Result<DataFacts> data_facts(const std::vector<PreparedDataset>& datasets,
                             const std::string& content,
                             const JobSpec& spec,
                             const fs::path& cache_dir) {
  DataFacts facts;
  for (const PreparedDataset& dataset : datasets) {
    facts.train_tokens += dataset.train().stream.tokens();
    facts.validation_tokens += dataset.validation().stream.tokens();
    for (const auto* side : {&dataset.train(), &dataset.validation()}) {
      if (!side->packing) continue;
      facts.truncated_documents += side->packing->truncated();
      facts.dropped_documents += side->packing->dropped();
    }
  }
  facts.unigram_entropy = TRY(entropy_of(datasets, content, spec, cache_dir));
  return facts;
}

Status count_ids(const TokenCache& cache, const TokenStream& stream, std::vector<int64_t>& counts) {
  std::vector<int32_t> ids;
  for (int64_t at = 0; at < stream.tokens(); at += kReadTokens) {
    ids.resize(static_cast<size_t>(std::min(kReadTokens, stream.tokens() - at)));
    TRY(stream.read(cache, at, ids));
    for (const int32_t id : ids) {
      const auto index = static_cast<size_t>(id);
      if (index >= counts.size()) counts.resize(index + 1);
      ++counts[index];
    }
  }
  return ok_status();
}

double unigram_entropy(const std::vector<int64_t>& counts) {
  double total = 0, entropy = 0;
  for (const int64_t count : counts) total += static_cast<double>(count);
  for (const int64_t count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / total;
    entropy -= share * std::log(share);
  }
  return entropy;
}

}  // namespace llmctl
