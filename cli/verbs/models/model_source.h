// Which model on disk a word means, for the verbs that hand one to the trainer: `17`, `last` or a
// job's name is a checkpoint of that job; anything that exists, has a slash or ends in .gguf is a
// path: a checkpoint, a Hugging Face directory or a GGUF file.
#pragma once

#include <string>

#include "cli/shell/context.h"
#include "core/run/event.h"

namespace llmctl {

struct ModelSource {
  std::string path;
  int64_t job_id = 0;              // 0: a path was given
  CheckpointCommitted checkpoint;  // of a job
};
// `step`: of the job's checkpoint; -1: the newest. not_found: no such job, step or path, or the
// checkpoint is not on this machine.
Result<ModelSource> find_model(Context& context, const std::string& word, int64_t step);

bool means_path(const std::string& word);

}  // namespace llmctl
