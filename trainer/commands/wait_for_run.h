// `llmctl-trainer wait`: a spare trainer, started before it is known for which run. What takes long
// then, the loading of LibTorch, is over when main() begins. Standard input is a SOCK_SEQPACKET of
// the worker's supervisor: a byte goes out (it is loaded), a packet comes in, `VERB\0DIRECTORY\0`:
// the run that it becomes as if started there as `llmctl-trainer VERB config.json`.
#pragma once

#include <string>

#include "core/base/result.h"

namespace llmctl {

// Enters the directory. The verb; empty: it is not needed any more.
Result<std::string> wait_for_run();

}  // namespace llmctl
