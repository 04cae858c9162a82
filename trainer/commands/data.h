// `llmctl-trainer data preview SPEC.json`: what a job would learn from, before it is submitted: its
// first documents with their sizes in bytes and tokens. Returns the exit code; words for people go
// to standard error.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace llmctl {

int data_command(const std::vector<std::string>& args, std::ostream& out);

}  // namespace llmctl
