// `llmctl-trainer generate`: text from a checkpoint, streamed to standard output. Takes a
// checkpoint directory, or a config.json whose newest readable checkpoint is used. Returns the exit
// code.
#pragma once

#include <string>
#include <vector>

namespace llmctl {

int generate_command(const std::vector<std::string>& args);

}  // namespace llmctl
