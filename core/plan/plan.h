// Plan: what makes a job fit a device, with where each choice came from. MemoryByCause is the
// shared vocabulary of prediction (core/memory_model) and measurement (trainer): compared line by
// line.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"
#include "core/job/job_spec.h"
#include "core/training/checkpointing.h"

namespace llmctl {

enum class Origin { given, preset_default, predicted, measured };  // "default" is a keyword
const char* to_string(Origin origin);  // given | default | predicted | measured

// Peak bytes of one rank by cause. `workspace` holds what the others do not name.
struct MemoryByCause {
  Bytes parameters = 0;
  Bytes gradients = 0;
  Bytes optimizer = 0;
  Bytes activations = 0;
  Bytes logits = 0;
  Bytes workspace = 0;
  Bytes total() const {
    return parameters + gradients + optimizer + activations + logits + workspace;
  }
  bool operator==(const MemoryByCause&) const = default;
};

struct Plan {
  int64_t micro_batch_size = 0;             // sequences per rank and pass
  int64_t gradient_accumulation_steps = 0;  // global batch = micro x accumulation x ranks
  Checkpointing gradient_checkpointing = Checkpointing::none;
  std::string precision = "fp32";
  std::string attention = "sdpa";
  bool on_cpu = true;             // of the device it is for
  bool pack_weights = false;      // packed_weight_bytes() more, for faster products
  bool copy_checkpoints = false;  // checkpoint_copy_bytes() more; else training waits for them
  Origin micro_batch_origin = Origin::predicted;
  Origin checkpointing_origin = Origin::predicted;

  MemoryByCause predicted;  // bytes
  MemoryByCause measured;   // zero until a probe or a run has measured
  Bytes peak_bytes_predicted = 0;
  Bytes peak_bytes_measured = 0;  // 0: not measured
  double seconds_per_step = 0;    // of the whole global batch; 0: unknown
  double tokens_per_second = 0;   // all ranks; 0: unknown
  double device_flops = 0;  // per second, of a rank's device in products of `precision`; 0: unknown
  int64_t oom_refits = 0;   // how often a run ran out and the plan became smaller
  bool operator==(const Plan&) const = default;
};

// For a sentence about a plan: ", selective checkpointing", or nothing.
std::string checkpointing_text(Checkpointing checkpointing);

nlohmann::json to_json(const Plan& plan);
Result<Plan> parse_plan(const nlohmann::json& document);
nlohmann::json to_json(const MemoryByCause& memory);
Result<MemoryByCause> parse_memory(const nlohmann::json& document);

// One candidate that a probe tried.
struct ProbeResult {
  int64_t micro_batch_size = 0;
  Checkpointing gradient_checkpointing = Checkpointing::none;
  bool oom = false;
  MemoryByCause memory;
  Bytes peak_bytes = 0;  // lower bound when oom
  double seconds_per_micro_batch = 0;
  double device_flops = 0;                              // as in Plan
  bool pack_weights = false, copy_checkpoints = false;  // of the plan that was measured
  bool operator==(const ProbeResult&) const = default;
};
nlohmann::json to_json(const ProbeResult& result);
Result<ProbeResult> parse_probe_result(const nlohmann::json& document);

}  // namespace llmctl
