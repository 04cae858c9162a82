// RunConfig: the one file a trainer process reads (config.json of its attempt directory), and the
// vocabulary of the report lines it writes. The contract between worker and trainer; both sides use
// these functions. docs/RUN_DIRECTORY.md describes the directory.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/job/job_spec.h"
#include "core/plan/plan.h"
#include "core/run/event.h"

namespace llmctl {

struct RunConfig {
  std::string mode = "train";  // train | probe
  int64_t job_id = 0;          // 0: run by hand
  int64_t epoch = 1;
  int32_t rank = 0, world_size = 1;
  std::string master_addr = "127.0.0.1";
  int32_t master_port = 0;     // rendezvous store; unused when world_size is 1
  std::string cluster_id;      // whose job it is; empty: a run by hand
  std::string job_dir;         // checkpoints/ lives here; shared by all attempts of the job
  std::string cache_dir;       // token caches, shared by all jobs of the worker
  std::string device = "cpu";  // cpu | cuda:N
  Bytes memory_cap_bytes = 0;  // 0: none
  int32_t threads = 0;         // 0: all cores
  // Committed checkpoint directories to resume from, newest first; may be empty. Relative to
  // job_dir: "checkpoints/e2-s100", or "../7/checkpoints/e1-s50" for a retry of job 7.
  std::vector<std::string> resume;
  bool resume_scan = false;  // by hand: look into job_dir for checkpoints instead
  JobSpec spec;
  Plan plan;                     // train: what to run
  std::vector<Plan> candidates;  // probe: what to measure, in this order
};
nlohmann::json to_json(const RunConfig& config);
Result<RunConfig> parse_run_config(std::string_view text);

// A report line is one JSON object with "type":
//   {"type":"up","pid":…,"parameters":…,"device":…,
//    "cpus":[…]}                     those that its threads stay on; empty: any
//   {"type":"data","train_tokens":…,"validation_tokens":…,"unigram_entropy":…,
//    "truncated_documents":…,"dropped_documents":…}      rank 0, before up
//   {"type":"phase","phase":"tokenize 40%"}                also the heartbeat of long preparations
//   {"type":"step", …fields of Progressed…}                 at most ten a second, and the last one
//   {"type":"eval","step":…,"loss":…}
//   {"type":"spike","step":…,"loss":…,"expected":…}        a loss far above the ones before
//   {"type":"loss_scale","step":…,"value":…}              fp16: gradients overflowed, the step was
//   skipped
//   {"type":"checkpoint", …fields of CheckpointCommitted…}
//   {"type":"checkpoint_removed","path":…,"corrupt":bool}
//   {"type":"probe", …fields of ProbeResult…}               one per candidate measured
//   {"type":"memory", …fields of MemoryByCause…,"peak_bytes":…}  after the second step
//   {"type":"sample","step":…,"prompt":…,"text":…}         of the finished model
//   {"type":"end","outcome":"done|left|oom|nonfinite|bad_input|checkpoint_lost|storage_full|
//                            crashed","detail":…}
nlohmann::json to_report(const Progressed& progress);
nlohmann::json to_report(const CheckpointCommitted& checkpoint);
nlohmann::json to_report(const CheckpointRemoved& removed);
nlohmann::json to_report(const SampleGenerated& sample);
Result<Progressed> parse_progress(const nlohmann::json& line);
Result<CheckpointCommitted> parse_checkpoint(const nlohmann::json& line);
Result<CheckpointRemoved> parse_checkpoint_removed(const nlohmann::json& line);
Result<SampleGenerated> parse_sample(const nlohmann::json& line);  // longer texts are cut

// Exit codes of llmctl-trainer, for when the last line was lost: the outcome, as a number.
int exit_code(Outcome outcome);
Outcome outcome_of_exit(int code);

}  // namespace llmctl
