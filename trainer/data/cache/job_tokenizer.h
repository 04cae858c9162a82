// The tokenizer of a job: bytes, a file, or one that is learned from the job's own data, once per
// data, and kept in the cache directory for all jobs.
#pragma once

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/data/cache/preparation.h"
#include "trainer/data/sources/source_hash.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

Result<Tokenizer> job_tokenizer(const JobSpec& spec,
                                const HashedSources& sources,
                                const Preparation& preparation);

}  // namespace llmctl
