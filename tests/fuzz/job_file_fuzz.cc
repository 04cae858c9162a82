// Any bytes as a job file: no crash, no hang; and a job that is accepted survives its canonical
// JSON unchanged, because that is how it travels.
#include <cstdint>
#include <string_view>

#include "cli/jobfile/job_yaml.h"
#include "core/job/job_spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmctl;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const YamlDocument document = parse_yaml(text);
  if (!document.diagnostics.empty()) return 0;
  const ParsedJob job = parse_job(document.root);
  for (const Diagnostic& diagnostic : job.diagnostics) CHECK(!diagnostic.message.empty());
  if (!job.ok()) return 0;
  const std::string canonical = spec_text(job.spec);
  const Result<JobSpec> again = parse_spec_json(canonical);
  CHECK(again.ok());
  CHECK(*again == job.spec);
  return 0;
}
