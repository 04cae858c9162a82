// Which environment variables a job may set for its trainers. Most that a program could read would
// make it load other people's code, write elsewhere or use devices that were not granted, so what
// is not listed is refused: where a job is submitted, and again by the worker. Pure.
#pragma once

#include <string>
#include <string_view>

namespace llmctl {

bool job_may_set(std::string_view variable);
std::string settable_variables();  // to people: names, and prefixes with a `*`, sorted

}  // namespace llmctl
