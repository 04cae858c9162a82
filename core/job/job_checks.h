// Cross-field checks of a job: what no single field can know. Everything wrong is reported, at the
// place of what the person wrote. Pure.
#pragma once

#include "core/fields/block_reader.h"
#include "core/job/job_fields.h"

namespace llmctl {

// Requires: every field on its own has been read. Settles what follows from several fields: the
// global batch from the accumulation, the model's derived sizes.
void settle_and_check(JobDraft& draft, const Places& places, Problems& problems);

}  // namespace llmctl
