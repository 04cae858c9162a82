// The field tables of a job file, each bound to one object. This is where a new field is added:
// the member in job_spec.h, its row here; parsing, help, docs/JOB_FILE.md and the schema follow.
#pragma once

#include "core/fields/field_table.h"
#include "core/job/job_spec.h"

namespace llmctl {

// What a job file says before it is settled: the spec, and what only helps to derive it.
struct JobDraft {
  JobSpec spec;
  std::optional<int64_t> gradient_accumulation_steps;  // instead of global_batch_size
};

FieldTable job_fields(JobDraft& draft);  // in the order of the documentation
FieldTable model_fields(ModelSpec& model);
FieldTable dataset_fields(DatasetSpec& dataset);
FieldTable tokenizer_fields(TokenizerSpec& tokenizer);  // {path: …} and {train: …}
FieldTable tokenizer_train_fields(TokenizerSpec& tokenizer);
FieldTable resource_fields(ResourceSpec& resources);
FieldTable retry_fields(RetrySpec& retry);

}  // namespace llmctl
