// How the documents of a job become what the cache directory keeps. Views; the caller's threads.
#pragma once

#include <filesystem>

#include "trainer/data/chat/format.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct Preparation {
  const ChatFormat* format = nullptr;  // needed by sources of chats
  std::filesystem::path cache_dir{};
  int threads = 0;  // 0: all. Nothing that is kept depends on their number.
  PhaseFn phase{};  // hears of what takes long
};

}  // namespace llmctl
