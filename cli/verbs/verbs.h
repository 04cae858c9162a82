// The table of verbs, in the order of `llmctl help`. Each verb is defined in its family's file.
#pragma once

#include <span>

#include "cli/verbs/verb.h"

namespace llmctl {

std::span<const Verb* const> verbs();

// cluster/up_down.cc
extern const Verb kUpVerb, kDownVerb, kStatusVerb;
// jobs/submit.cc
extern const Verb kPlanVerb, kSubmitVerb;
// jobs/queries.cc
extern const Verb kLsVerb, kShowVerb, kExplainVerb, kMetricsVerb, kCheckpointsVerb;
// jobs/watch.cc
extern const Verb kWatchVerb, kWaitVerb;
// jobs/logs.cc
extern const Verb kLogsVerb;
// jobs/changes.cc
extern const Verb kCancelVerb, kPauseVerb, kResumeVerb, kRetryVerb, kPriorityVerb;
// cluster/workers.cc
extern const Verb kWorkersVerb, kDrainVerb;
// models/generate.cc
extern const Verb kGenerateVerb;
// models/eval.cc
extern const Verb kEvalVerb;
// models/export.cc
extern const Verb kExportVerb, kConvertVerb;
// models/tokenizer.cc
extern const Verb kTokenizerVerb;
// jobs/validate.cc
extern const Verb kValidateVerb, kSchemaVerb;
// models/data.cc
extern const Verb kDataVerb;
// cluster/doctor.cc
extern const Verb kDoctorVerb;
// completion.cc of cli/app
extern const Verb kCompletionVerb, kCompleteVerb;
// version.cc of cli/app
extern const Verb kVersionVerb;

}  // namespace llmctl
