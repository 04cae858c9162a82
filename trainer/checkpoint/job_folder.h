// Where things lie in a job's folder, as docs/RUN_DIRECTORY.md describes it. Pure.
#pragma once

#include <filesystem>

namespace llmctl {

inline std::filesystem::path checkpoints_of(const std::filesystem::path& job_dir) {
  return job_dir / "checkpoints";
}
inline std::filesystem::path tokenizer_of(const std::filesystem::path& job_dir) {
  return job_dir / "tokenizer.json";
}

}  // namespace llmctl
