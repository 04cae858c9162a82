// Which jobs a command means: `17`, `1,4`, `3-7`, `last`, or a job's name when it is unique.
// Parsing is pure; resolving names, `last` and ranges asks the scheduler.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/ask/client.h"

namespace llmctl {

struct Selector {
  enum class Kind { range, last, name } kind = Kind::range;
  int64_t from = 0, to = 0;  // range; equal for one id
  std::string name;
};
// Errors: invalid_argument, naming the part that is wrong.
Result<std::vector<Selector>> parse_selectors(const std::vector<std::string>& words);

// In the order given, each job once. Ids written out one by one are not looked up here: the verb
// itself will say not_found. A range yields the jobs that exist in it; none is not_found.
Result<std::vector<JobId>> resolve_jobs(Client& client, const std::vector<std::string>& words);
Result<JobId> resolve_job(Client& client, const std::string& word);  // exactly one

}  // namespace llmctl
