#include "scheduler/heart/fit.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/plan/memory_model.h"
#include "scheduler/heart/placement.h"

namespace llmctl {

Bytes with_headroom(Bytes peak, const SchedulerConfig& config) {
  const auto share = static_cast<Bytes>(static_cast<double>(peak) * config.headroom);
  return peak + std::max(share, config.headroom_min);
}

Bytes without_headroom(Bytes granted, const SchedulerConfig& config) {
  const auto peak = static_cast<Bytes>(static_cast<double>(granted) / (1 + config.headroom));
  return std::max<Bytes>(1, std::min(peak, granted - config.headroom_min));
}

static const ProbeResult* find_result(const std::vector<ProbeResult>& results, const Plan& plan) {
  for (const ProbeResult& result : results) {
    if (result.micro_batch_size == plan.micro_batch_size &&
        result.gradient_checkpointing == plan.gradient_checkpointing) {
      return &result;
    }
  }
  return nullptr;
}

// The plan becomes the one that was measured, which may have been chosen for another cap.
static void take_measurement(const JobSpec& spec, const ProbeResult& result, Plan& plan) {
  plan.pack_weights = result.pack_weights;
  plan.copy_checkpoints = result.copy_checkpoints;
  plan.predicted = predict_memory(spec, plan);
  plan.peak_bytes_predicted = plan.predicted.total();
  plan.measured = result.memory;
  plan.peak_bytes_measured = result.peak_bytes;
  plan.device_flops = result.device_flops;
  if (plan.micro_batch_origin == Origin::predicted) plan.micro_batch_origin = Origin::measured;
  if (plan.checkpointing_origin == Origin::predicted) plan.checkpointing_origin = Origin::measured;
  if (result.seconds_per_micro_batch <= 0) return;
  plan.seconds_per_step =
      result.seconds_per_micro_batch * static_cast<double>(plan.gradient_accumulation_steps);
  plan.tokens_per_second =
      static_cast<double>(spec.global_batch_size * spec.sequence_len) / plan.seconds_per_step;
}

std::optional<Plan> best_plan(const JobSpec& spec,
                              const std::vector<ProbeResult>& results,
                              const SearchRoom& room,
                              const SchedulerConfig& config) {
  std::optional<Plan> best;
  for (Plan& plan : candidate_plans(spec, room)) {
    const ProbeResult* result = find_result(results, plan);
    if (result == nullptr || result->oom || result->peak_bytes <= 0) continue;
    if (with_headroom(result->peak_bytes, config) > room.cap_bytes) continue;
    take_measurement(spec, *result, plan);
    if (!best || plan.tokens_per_second > best->tokens_per_second) best = std::move(plan);
  }
  return best;
}

std::optional<Plan> plan_from_profiles(const State& state,
                                       const Job& job,
                                       const SchedulerConfig& config) {
  std::optional<Plan> best;
  if (state.profiles.empty()) return best;
  for (const DeviceType& type : matching_types(state, job)) {
    const auto profile = state.profiles.find(profile_key(*job.spec, type.name));
    if (profile == state.profiles.end()) continue;
    // Measured under a much smaller cap, it says nothing about the plans that fit here.
    if (profile->second.cap_bytes / 3 < type.room.cap_bytes / 4) continue;
    std::optional<Plan> plan = best_plan(*job.spec, profile->second.results, type.room, config);
    if (!plan || (best && best->tokens_per_second >= plan->tokens_per_second)) continue;
    best = std::move(plan);
  }
  return best;
}

std::optional<Plan> plan_after_oom(const State& state,
                                   const Job& job,
                                   const Grant& grant,
                                   const SchedulerConfig& config) {
  if (job.plan.oom_refits >= limits::kOomRefits) return std::nullopt;
  const auto profile = state.profiles.find(profile_key(*job.spec, granted_type(state, grant)));
  Plan ran_out = job.plan;
  ran_out.on_cpu = room_of(grant).on_cpu;  // older schedulers did not say
  std::optional<Plan> plan = smaller_plan(*job.spec, ran_out);
  if (plan) {
    const ProbeResult* known = nullptr;
    if (profile != state.profiles.end()) known = find_result(profile->second.results, *plan);
    if (known != nullptr && !known->oom) take_measurement(*job.spec, *known, *plan);
    return plan;
  }
  plan = ran_out;
  ++plan->oom_refits;
  plan->peak_bytes_measured = grant.bytes + grant.bytes / 4;
  const Bytes need = with_headroom(plan->peak_bytes_measured, config);
  for (const DeviceType& type : matching_types(state, job)) {
    if (need <= type.most) return plan;
  }
  return std::nullopt;
}

void learn_bound(Turn& turn, const Job& job, const Grant& grant) {
  ProbeResult result;
  result.micro_batch_size = job.plan.micro_batch_size;
  result.gradient_checkpointing = job.plan.gradient_checkpointing;
  result.pack_weights = job.plan.pack_weights;
  result.copy_checkpoints = job.plan.copy_checkpoints;
  result.oom = true;
  result.peak_bytes = grant.bytes;
  const std::string key = profile_key(*job.spec, granted_type(turn.state, grant));
  turn.emit(job.id, job.epoch, ProbeMeasured{key, {result}, grant.bytes});
}

std::string tightest(const std::vector<ProbeResult>& results,
                     Bytes cap,
                     const SchedulerConfig& config) {
  const auto less = [](const ProbeResult& a, const ProbeResult& b) {
    return a.peak_bytes < b.peak_bytes;
  };
  const ProbeResult& least = *std::min_element(results.begin(), results.end(), less);
  return "the smallest of " + std::to_string(results.size()) + " measured plans (micro-batch " +
         std::to_string(least.micro_batch_size) + checkpointing_text(least.gradient_checkpointing) +
         ") needs " + (least.oom ? "more than " : "") +
         format_bytes(least.oom ? std::max(least.peak_bytes, cap)
                                : with_headroom(least.peak_bytes, config)) +
         "; the cap is " + format_bytes(cap);
}

SearchRoom room_of(const Grant& grant) {
  return {grant.bytes, grant.device_kind == "cpu"};
}

std::string granted_type(const State& state, const Grant& grant) {
  const auto worker = state.workers.find(grant.worker);
  if (worker == state.workers.end()) return "";
  for (const Device& device : worker->second.inventory.devices) {
    if (device.kind == grant.device_kind && device.index == grant.device_index) {
      return device_type(device);
    }
  }
  return "";
}

}  // namespace llmctl
