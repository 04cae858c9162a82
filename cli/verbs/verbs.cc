#include "cli/verbs/verbs.h"

#include <array>

namespace llmctl {

static constexpr auto kVerbs = std::to_array<const Verb*>({
    &kUpVerb,       &kDownVerb,    &kStatusVerb,  &kValidateVerb, &kDataVerb,
    &kPlanVerb,     &kSubmitVerb,  &kLsVerb,      &kShowVerb,     &kWatchVerb,
    &kWaitVerb,     &kLogsVerb,    &kMetricsVerb, &kExplainVerb,  &kCancelVerb,
    &kPauseVerb,    &kResumeVerb,  &kRetryVerb,   &kPriorityVerb, &kCheckpointsVerb,
    &kGenerateVerb, &kEvalVerb,    &kExportVerb,  &kConvertVerb,  &kTokenizerVerb,
    &kWorkersVerb,  &kDrainVerb,   &kDoctorVerb,  &kSchemaVerb,   &kCompletionVerb,
    &kCompleteVerb, &kVersionVerb,
});

std::span<const Verb* const> verbs() {
  return kVerbs;
}

}  // namespace llmctl
