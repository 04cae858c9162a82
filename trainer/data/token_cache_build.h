// Builds the file of a token cache (token_cache.h): tokenizes on several threads and writes front
// to back. The file is written aside, fsynced and renamed; whoever calls it holds the file's
// BuildLock.
#pragma once

#include <filesystem>
#include <vector>

#include "core/base/result.h"
#include "trainer/data/chat_format.h"
#include "trainer/data/dataset.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

// `format` is needed by sources of chats. `threads` tokenize; 0: all. `phase` hears of the
// progress.
Status build_token_cache(const std::vector<SourceFile>& sources,
                         const Tokenizer& tokenizer,
                         const ChatFormat* format,
                         const std::filesystem::path& file,
                         int threads,
                         const PhaseFn& phase);

}  // namespace llmctl
