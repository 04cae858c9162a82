// The text that a trained model writes after sample_prompt, as a report line.
#pragma once

#include "trainer/run/prepare.h"

namespace llmctl {

// Does nothing without a sample_prompt. The line of a text that cannot be made says why.
void tell_sample(PreparedRun& run, Reporter& report);

}  // namespace llmctl
