// The tokenizer of a job: bytes, a file, or one that is learned from the job's own data, once per
// data, and kept in the cache directory for all jobs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/data/chat_format.h"
#include "trainer/data/dataset.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

// `sources_hash`: of the content of `sources`. `format`: of chats, else null. `threads` count
// words; 0: all. `phase` hears of it while that takes long.
Result<Tokenizer> job_tokenizer(const JobSpec& spec,
                                const std::vector<SourceFile>& sources,
                                const std::string& sources_hash,
                                const ChatFormat* format,
                                const std::filesystem::path& cache_dir,
                                int threads,
                                const PhaseFn& phase);

}  // namespace llmctl
