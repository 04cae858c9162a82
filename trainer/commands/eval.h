// `llmctl-trainer eval SRC --text FILE`: how well a stored model predicts a text
// (trainer/inference/perplexity.h). SRC is a checkpoint, a Hugging Face directory or a GGUF file
// with its tokenizer. Returns the exit code; words for people go to standard error.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace llmctl {

int eval_command(const std::vector<std::string>& args, std::ostream& out);

}  // namespace llmctl
