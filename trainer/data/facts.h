// What people are told about the data of a job: how many tokens, what a model without any context
// would lose on them, what did not fit. Pure, apart from the file that remembers the entropy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/data/split.h"

namespace llmctl {

class PreparedDataset;

struct DataFacts {
  int64_t train_tokens = 0, validation_tokens = 0;
  double unigram_entropy = 0;  // of the training tokens; nats per token
  // Documents too long for a sequence, whose end is not learned, and those left out because what
  // would be learned of them lies there.
  int64_t truncated_documents = 0, dropped_documents = 0;
};

// `content` is the hash of data and tokenizer. The entropy is counted once per content and split,
// and remembered in `cache_dir`.
Result<DataFacts> data_facts(const std::vector<PreparedDataset>& datasets,
                             const std::string& content,
                             const JobSpec& spec,
                             const std::filesystem::path& cache_dir);

// counts[id] += how often it occurs.
Status count_ids(const TokenCache& cache, const TokenStream& stream, std::vector<int64_t>& counts);
// Nats per token of a model that knows only how frequent each id is: -sum p ln p. What a run's loss
// has to fall below before the model uses any context.
double unigram_entropy(const std::vector<int64_t>& counts);

}  // namespace llmctl
