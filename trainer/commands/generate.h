// `llmctl-trainer generate`: text from a checkpoint, streamed to `out`. Takes a checkpoint
// directory, a Hugging Face directory, a GGUF file, or a config.json whose newest readable
// checkpoint is used. Returns the exit code; words for people go to standard error.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace llmctl {

int generate_command(const std::vector<std::string>& args, std::ostream& out);

}  // namespace llmctl
