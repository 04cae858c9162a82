#include "cli/verbs/models/model_source.h"

#include <algorithm>
#include <filesystem>

#include "cli/ask/selector.h"
#include "cli/cluster/home.h"
#include "cli/screen/documents.h"

namespace llmctl {

bool means_path(const std::string& word) {
  if (word.find('/') != std::string::npos || word.ends_with(".gguf") || word == ".") return true;
  const bool number = std::all_of(word.begin(), word.end(),
                                  [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
  if (number || word == "last") return false;  // a folder of that name is written ./17
  std::error_code ignored;
  return std::filesystem::exists(word, ignored);
}

static Result<CheckpointCommitted> choose_checkpoint(const JobView& job, int64_t step) {
  if (job.checkpoints.empty()) {
    return Error{Code::failed_precondition,
                 "job " + std::to_string(job.id) + " has no committed checkpoint yet",
                 "`llmctl watch " + std::to_string(job.id) + "` shows how far it is"};
  }
  if (step < 0) return job.checkpoints.back().commit;
  for (const CheckpointView& checkpoint : job.checkpoints) {
    if (checkpoint.commit.step == step) return checkpoint.commit;
  }
  return Error{
      Code::not_found,
      "job " + std::to_string(job.id) + " has no checkpoint of step " + std::to_string(step),
      "`llmctl checkpoints " + std::to_string(job.id) + "` lists them"};
}

Result<ModelSource> find_model(Context& context, const std::string& word, int64_t step) {
  ModelSource source;
  std::error_code ignored;
  if (means_path(word)) {
    if (!std::filesystem::exists(word, ignored)) {
      return Error{Code::not_found, "there is no file or directory " + word, ""};
    }
    if (step >= 0) {
      return Error{Code::invalid_argument, "--step: " + word + " is a path, not a job", ""};
    }
    source.path = word;
    return source;
  }
  Client client = TRY(connect(context.env));
  const JobId id = TRY(resolve_job(client, word));
  const JobView job = TRY(client.get(id));
  source.job_id = id.value;
  source.checkpoint = TRY(choose_checkpoint(job, step));
  source.path = checkpoint_path(local_jobs_dir(context.env), id.value, source.checkpoint.path);
  if (!std::filesystem::is_directory(source.path, ignored)) {
    return Error{Code::not_found, "checkpoint " + source.path + " is not on this machine",
                 "set LLMCTL_JOBS_DIR to where the cluster's jobs folder is mounted here"};
  }
  return source;
}

}  // namespace llmctl
