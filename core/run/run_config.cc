#include "core/run/run_config.h"

#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"

namespace llmctl {

using nlohmann::json;

json to_json(const RunConfig& config) {
  json candidates = json::array();
  for (const Plan& plan : config.candidates) candidates.push_back(to_json(plan));
  json document = {{"mode", config.mode},
                   {"job_id", config.job_id},
                   {"epoch", config.epoch},
                   {"rank", config.rank},
                   {"world_size", config.world_size},
                   {"master_addr", config.master_addr},
                   {"master_port", config.master_port},
                   {"cluster_id", config.cluster_id},
                   {"job_dir", config.job_dir},
                   {"cache_dir", config.cache_dir},
                   {"device", config.device},
                   {"memory_cap_bytes", config.memory_cap_bytes},
                   {"threads", config.threads},
                   {"resume", config.resume},
                   {"resume_scan", config.resume_scan},
                   {"spec", to_json(config.spec)},
                   {"candidates", candidates}};
  if (config.plan != Plan{}) document["plan"] = to_json(config.plan);
  return document;
}

static Status check(const RunConfig& config) {
  const auto wrong = [](const char* message) {
    return Error{Code::invalid_argument, std::string("run config: ") + message, ""};
  };
  if (config.mode != "train" && config.mode != "probe") return wrong("mode: train or probe");
  if (config.world_size < 1 || config.world_size > limits::kRanks) {
    return wrong("world_size: out of range");
  }
  if (config.rank >= config.world_size) return wrong("rank: expected less than world_size");
  if (config.master_port > 65'535) return wrong("master_port: expected at most 65535");
  if (config.candidates.size() > limits::kProbeCandidates) return wrong("candidates: too many");
  return ok_status();
}

static Status read_lists(JsonReader& reader, RunConfig& config) {
  if (const json* resume = reader.child("resume")) {
    if (!resume->is_array()) reader.fail("resume", "a list of paths");
    for (const json& path : *resume) {
      if (path.is_string()) {
        config.resume.push_back(path.get<std::string>());
      } else {
        reader.fail("resume", "a list of paths");
      }
    }
  }
  if (const json* candidates = reader.child("candidates")) {
    if (!candidates->is_array()) reader.fail("candidates", "a list of plans");
    for (const json& plan : *candidates) config.candidates.push_back(TRY(parse_plan(plan)));
  }
  return ok_status();
}

Result<RunConfig> parse_run_config(std::string_view text) {
  const json document = TRY(parse_json(text, "run config"));
  RunConfig config;
  JsonReader reader(document, "run config");
  reader.need("job_dir");
  reader.need("spec");
  reader.read("mode", config.mode);
  reader.read("job_id", config.job_id);
  reader.read("epoch", config.epoch);
  reader.read("rank", config.rank);
  reader.read("world_size", config.world_size, 1);
  reader.read("master_addr", config.master_addr);
  reader.read("master_port", config.master_port);
  reader.read("cluster_id", config.cluster_id);
  reader.read("job_dir", config.job_dir);
  reader.read("cache_dir", config.cache_dir);
  reader.read("device", config.device);
  reader.read("memory_cap_bytes", config.memory_cap_bytes);
  reader.read("threads", config.threads);
  reader.read("resume_scan", config.resume_scan);
  TRY(read_lists(reader, config));
  if (const json* plan = reader.child("plan")) config.plan = TRY(parse_plan(*plan));
  TRY(reader.status());
  TRY(check(config));
  config.spec = TRY(read_stored_spec(document["spec"].dump()));
  return config;
}

}  // namespace llmctl
