// `llmctl-trainer convert SRC DST`: a model from one form into another. SRC is a checkpoint, a
// Hugging Face directory or a GGUF file; DST is a new Hugging Face directory or a new GGUF file,
// never written over. Prints what was written; returns the exit code, words for people go to
// standard error.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace llmctl {

int convert_command(const std::vector<std::string>& args, std::ostream& out);

}  // namespace llmctl
