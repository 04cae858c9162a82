#include "core/plan/switches.h"

#include <functional>

#include "core/plan/memory_model.h"
#include "core/training/optimizer_facts.h"

namespace llmctl {

// The peak of `plan` when `change` is made to it and to the job.
static Bytes peak_with(JobSpec spec,
                       Plan plan,
                       const std::function<void(JobSpec&, Plan&)>& change) {
  const Bytes now = predict_memory(spec, plan).total();
  change(spec, plan);
  return plan.peak_bytes_predicted + predict_memory(spec, plan).total() - now;
}

std::vector<Switch> switches(const JobSpec& spec, const Plan& plan) {
  std::vector<Switch> all;
  const auto add = [&](const char* field, const std::string& value, bool chosen, const char* about,
                       const std::function<void(JobSpec&, Plan&)>& change) {
    all.push_back({field, value, chosen, peak_with(spec, plan, change), about});
  };
  const bool cuda = !plan.on_cpu;
  const auto precision = [&](const std::string& name, const char* about) {
    add("precision", name, plan.precision == name, about,
        [&](JobSpec&, Plan& p) { p.precision = name; });
  };
  precision("fp32", "-");
  precision("tf32", cuda ? "faster; products of 10-bit mantissas" : "as fp32 on a CPU");
  precision("bf16", cuda ? "faster; 7-bit mantissas" : "7-bit mantissas; slower on most CPUs");
  precision("fp16",
            cuda ? "faster; steps that overflow are skipped" : "slower on a CPU; 10-bit mantissas");
  add("master_weights", "true", spec.master_weights, "-",
      [](JobSpec& s, Plan&) { s.master_weights = true; });
  add("master_weights", "false", !spec.master_weights, "bf16 only; random rounding",
      [](JobSpec& s, Plan& p) {
        s.master_weights = false;
        p.precision = "bf16";
      });
  const auto checkpointing = [&](Checkpointing kind, const char* about) {
    add("gradient_checkpointing", to_string(kind), plan.gradient_checkpointing == kind, about,
        [&](JobSpec&, Plan& p) { p.gradient_checkpointing = kind; });
  };
  checkpointing(Checkpointing::none, "-");
  checkpointing(Checkpointing::selective, "about an eighth more time");
  checkpointing(Checkpointing::block, "about a third more time");
  const auto attention = [&](const std::string& kind, const char* about) {
    add("attention", kind, plan.attention == kind, about,
        [&](JobSpec&, Plan& p) { p.attention = kind; });
  };
  attention("sdpa", "-");
  attention("flash", "CUDA in bf16 and fp16 only, else as sdpa");
  attention("manual", "slower; whole score matrices");
  for (const OptimizerFacts& facts : optimizers()) {
    add("optimizer", facts.name, spec.optimizer == facts.name, facts.costs,
        [&](JobSpec& s, Plan&) { s.optimizer = facts.name; });
  }
  for (const bool on : {false, true}) {
    if (!cuda) continue;
    add("cuda_graphs", on ? "true" : "false", spec.cuda_graphs == on,
        on ? "less for the host to do; memory of a pass stays taken" : "-",
        [&](JobSpec& s, Plan&) { s.cuda_graphs = on; });
  }
  for (const bool on : {false, true}) {
    if (packed_weight_bytes(spec, plan) == 0) continue;
    add("pack_weights", on ? "true" : "false", plan.pack_weights == on,
        on ? "2 to 5 % faster; AMD only" : "-", [&](JobSpec&, Plan& p) { p.pack_weights = on; });
  }
  for (const bool on : {false, true}) {
    if (checkpoint_copy_bytes(spec) == 0) continue;
    add("async_checkpoints", on ? "true" : "false", plan.copy_checkpoints == on,
        on ? "-" : "training waits for the disk",
        [&](JobSpec&, Plan& p) { p.copy_checkpoints = on; });
  }
  const auto offload = [&](const std::string& what, const char* about) {
    add("offload", what, spec.offload == what,
        cuda || what == "none" ? about : "saves nothing on a CPU",
        [&](JobSpec& s, Plan&) { s.offload = what; });
  };
  offload("none", "-");
  offload("optimizer", "state crosses the bus twice in each update");
  offload("activations", "they cross the bus twice in each pass");
  offload("all", "both");
  return all;
}

}  // namespace llmctl
