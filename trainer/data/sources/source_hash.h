// What a job's data holds, as one hash: equal hash, equal documents. Files are read for it once:
// the hash is remembered in the cache directory under the state of all files (path, size, inode,
// times), so a start on unchanged data only looks at them. A change that keeps size, inode, mtime
// and ctime alike (someone set the clock back) is not noticed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"
#include "trainer/data/sources/dataset.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct HashedSources {
  std::vector<SourceFile> files;
  std::string hash;
  std::string state = "";  // state_of_sources() before they were read; empty: not compared
};
// Path, size, inode and times of all of them.
Result<std::string> state_of_sources(const std::vector<SourceFile>& files);
// failed_precondition when a file is no longer as it was: what was read is of two contents.
Status check_unchanged(const HashedSources& sources);

// `now_unix_ms`: files changed in the last seconds are not remembered, as they may change once more
// within the resolution of their times.
Result<std::string> hash_sources(const std::vector<SourceFile>& sources,
                                 const std::filesystem::path& cache_dir,
                                 Millis now_unix_ms,
                                 const PhaseFn& phase);

}  // namespace llmctl
