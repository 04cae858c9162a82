#include "trainer/run/probe.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>

#include "core/plan/memory_model.h"
#include "core/training/offload.h"
#include "trainer/device/device.h"
#include "trainer/device/device_memory.h"
#include "trainer/model/model.h"
#include "trainer/model/pass_graph.h"
#include "trainer/optim/optimizer.h"
#include "trainer/run/device_flops.h"
#include "trainer/run/saving/train_state.h"

namespace llmctl {
namespace {

constexpr int kSteps = 3;            // the first warms up, the fastest of the others counts
constexpr size_t kEnoughTrials = 3;  // plans that fit; candidates come best first
constexpr double kLongStep = 20;     // seconds: one such step tells enough

MicroBatch made_up_batch(const JobSpec& spec, int64_t sequences) {
  const at::Tensor ids = at::arange(sequences * spec.sequence_len, at::kLong)
                             .mul_(7919)
                             .remainder_(spec.model.config.vocab_size);
  MicroBatch batch = {ids.to(at::kInt), ids.roll(-1).to(at::kInt)};
  // The longest documents that packing can have take the most memory.
  for (int64_t i = 0; packs_documents(spec) && i < sequences; ++i) {
    batch.document_starts.push_back(static_cast<int32_t>(i * spec.sequence_len));
  }
  return batch;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void run_steps(const RunConfig& config,
               at::Device device,
               const Plan& plan,
               const std::function<void()>& pulse,
               ProbeResult& result) {
  const JobSpec& spec = config.spec;
  Model model(spec.model.config,
              {.sequence_len = spec.sequence_len,
               .attention = attention_kind(plan.attention),
               .checkpointing = plan.gradient_checkpointing,
               .pulse = pulse,
               .device = device,
               .number = activation_type(spec.precision),
               .offload = offloads_activations(spec.offload),
               .matrices = matrix_type(spec.precision, spec.master_weights),
               .pack_weights = plan.pack_weights});
  const auto optimizer =
      make_optimizer(spec.optimizer, model.layout(), device, optimizer_options(spec));
  at::Tensor copy;
  if (model.weights().is_cpu() && plan.copy_checkpoints) {
    copy = allocate_copy(model, *optimizer);
  }
  PassGraph pass(model, spec.cuda_graphs, [](const std::string&) {});  // the run says it
  initialize(model.layout(), spec.model.config.initializer_range, spec.seed,
             model.writable_weights());
  const MicroBatch batch = made_up_batch(spec, plan.micro_batch_size);
  for (int step = 0; step < kSteps; ++step) {
    wait_for(device);
    const auto begin = std::chrono::steady_clock::now();
    pass.forward_backward(batch, 1.0 / static_cast<double>(batch.ids.numel()));
    wait_for(device);
    const double seconds = seconds_since(begin);
    const bool better = step <= 1 || seconds < result.seconds_per_micro_batch;
    if (better) result.seconds_per_micro_batch = seconds;
    optimizer->update(model.writable_weights(), model.gradients(),
                      optimizer_step(spec, spec.learning_rate, 1));
    if (step > 0 && seconds > kLongStep) break;
  }
}

ProbeResult measure(const RunConfig& config,
                    at::Device device,
                    const Plan& plan,
                    const std::function<void()>& pulse) {
  ProbeResult result;
  result.micro_batch_size = plan.micro_batch_size;
  result.gradient_checkpointing = plan.gradient_checkpointing;
  result.pack_weights = plan.pack_weights;
  result.copy_checkpoints = plan.copy_checkpoints;
  device_memory::release_kept_blocks();
  device_memory::reset_peak();
  try {
    run_steps(config, device, plan, pulse, result);
  } catch (const c10::OutOfMemoryError&) {
    result.oom = true;
    result.seconds_per_micro_batch = 0;
  }
  result.memory = device_memory::peak_by_cause();
  result.peak_bytes = device_memory::peak_bytes();
  return result;
}

// A plan that needs at least what another one ran out with.
bool cannot_fit(const Plan& plan, const std::vector<ProbeResult>& results) {
  return std::any_of(results.begin(), results.end(), [&](const ProbeResult& r) {
    return r.oom && plan.micro_batch_size >= r.micro_batch_size &&
           plan.gradient_checkpointing <= r.gradient_checkpointing;
  });
}

}  // namespace

std::vector<ProbeResult> probe(const RunConfig& config,
                               at::Device device,
                               const std::function<void()>& pulse,
                               const std::function<void(const ProbeResult&)>& tell) {
  std::vector<ProbeResult> results;
  size_t fitting = 0;
  Checkpointing least = Checkpointing::block;  // that fits: always faster than with more
  const double device_flops = best_device_flops(device, config.spec.precision, config.cache_dir);
  for (const Plan& plan : config.candidates) {
    if (fitting >= kEnoughTrials || (fitting > 0 && plan.gradient_checkpointing > least)) break;
    if (cannot_fit(plan, results)) continue;
    results.push_back(measure(config, device, plan, pulse));
    results.back().device_flops = device_flops;
    const ProbeResult& result = results.back();
    tell(result);
    if (result.oom) continue;
    ++fitting;
    least = std::min(least, result.gradient_checkpointing);
  }
  return results;
}

}  // namespace llmctl
