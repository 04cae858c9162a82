// The job file: YAML (or JSON) from a person's disk into a JobSpec, ready to submit. Everything
// wrong is reported at once, as Diagnostics with line and column. Reads the file and what it names
// (model directory, tokenizer, datasets); writes nothing. Any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/job/job_spec.h"

namespace llmctl {

struct LoadedJob {
  JobSpec spec;
  std::map<std::string, std::string> origin;  // as of origins()
  std::string file;                           // as shown in messages: "job.yaml", "<stdin>"
  std::vector<Diagnostic> diagnostics;        // in file order; usable when none is an error
  bool ok() const;
  std::string text() const;  // the diagnostics, one line each
};

// Loads a file, or standard input when `path` is "-" (then paths start from the current directory).
// `overrides` are "key=value" with dotted keys and win over the file. not_found when the file
// cannot be read, invalid_argument for a malformed override; what is wrong inside the file is in
// `diagnostics`.
Result<LoadedJob> load_job(const std::string& path, const std::vector<std::string>& overrides);

}  // namespace llmctl
