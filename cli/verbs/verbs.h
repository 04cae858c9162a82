// The table of verbs, in the order of `llmctl help`. Each verb is defined in its family's file.
#pragma once

#include <span>

#include "cli/verbs/verb.h"

namespace llmctl {

std::span<const Verb* const> verbs();

// cluster.cc
extern const Verb kUpVerb, kDownVerb, kStatusVerb;
// submit.cc
extern const Verb kPlanVerb, kSubmitVerb;
// inspect.cc
extern const Verb kLsVerb, kShowVerb, kExplainVerb, kMetricsVerb, kCheckpointsVerb;
// watch.cc
extern const Verb kWatchVerb, kWaitVerb;
// logs.cc
extern const Verb kLogsVerb;
// control.cc
extern const Verb kCancelVerb, kPauseVerb, kResumeVerb, kRetryVerb, kPriorityVerb;
// workers.cc
extern const Verb kWorkersVerb, kDrainVerb;
// generate.cc
extern const Verb kGenerateVerb;
// eval.cc
extern const Verb kEvalVerb;
// export.cc
extern const Verb kExportVerb, kConvertVerb;
// tokenizer.cc
extern const Verb kTokenizerVerb;
// files.cc
extern const Verb kValidateVerb, kSchemaVerb;
// data.cc
extern const Verb kDataVerb;
// doctor.cc
extern const Verb kDoctorVerb;
// completion.cc
extern const Verb kCompletionVerb, kCompleteVerb;
// version.cc
extern const Verb kVersionVerb;

}  // namespace llmctl
