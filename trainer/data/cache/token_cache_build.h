// Builds the file of a token cache (token_cache.h): tokenizes on several threads and writes front
// to back. The file is written aside, fsynced and renamed; whoever calls it holds the file's
// BuildLock.
#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "trainer/data/cache/preparation.h"
#include "trainer/data/sources/source_hash.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

Status build_token_cache(const HashedSources& sources,
                         const Tokenizer& tokenizer,
                         const Preparation& preparation,
                         const std::filesystem::path& file);

}  // namespace llmctl
