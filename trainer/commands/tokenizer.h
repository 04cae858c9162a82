// `llmctl-trainer tokenizer train|encode|decode`: tokenizers by hand, without a model. Encoding
// reads text from files or standard input and writes ids, `--lines` one array per line; decoding is
// the inverse. Returns the exit code; words for people go to standard error.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace llmctl {

int tokenizer_command(const std::vector<std::string>& args, std::istream& in, std::ostream& out);

}  // namespace llmctl
