#include "trainer/run/probe.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "core/plan/memory_model.h"
#include "core/training/offload.h"
#include "trainer/device/device.h"
#include "trainer/device/device_memory.h"
#include "trainer/model/model.h"
#include "trainer/model/pass_graph.h"
#include "trainer/optim/optimizer.h"
#include "trainer/run/device_flops.h"
#include "trainer/run/probe_search.h"
#include "trainer/run/saving/train_state.h"

namespace llmctl {
namespace {

constexpr int kSteps = 3;         // the first warms up, the fastest of the others counts
constexpr double kLongStep = 10;  // seconds: two such steps tell enough
constexpr double kTellEvery = 1;  // seconds

using Time = std::chrono::steady_clock::time_point;

double seconds_since(Time begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct OutOfTime {};  // a measurement is given up

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

// One probe: the clock over it, and who is told where it stands.
class Probing {
 public:
  Probing(const RunConfig& config, at::Device device, const ProbeListener& listener)
      : config_(config),
        device_(device),
        listener_(listener),
        search_(config.spec, config.candidates, config.memory_cap_bytes) {}

  std::vector<ProbeResult> results() {
    const double device_flops =
        best_device_flops(device_, config_.spec.precision, config_.cache_dir);
    std::vector<ProbeResult> all;
    while (const auto plan = search_.next(seconds_left())) {
      const Time begin = std::chrono::steady_clock::now();
      std::optional<ProbeResult> result = measure(*plan);
      if (!result) break;
      result->device_flops = device_flops;
      search_.add(*result, seconds_since(begin));
      all.push_back(*result);
      listener_.measured(*result);
    }
    return all;
  }

 private:
  double seconds_left() const { return search_.budget_seconds() - seconds_since(begin_); }

  // Once a second, and the sign of life between. Gives up when time is over and there is an answer.
  void pulse(const Plan& plan) {
    if (search_.answers() && seconds_left() < 0) throw OutOfTime{};
    if (seconds_since(told_) >= kTellEvery) tell(plan);
  }

  void tell(const Plan& plan) {
    told_ = std::chrono::steady_clock::now();
    listener_.phase("probe: micro-batch " + std::to_string(plan.micro_batch_size) +
                    checkpointing_text(plan.gradient_checkpointing) + ", " +
                    format_bytes(device_memory::peak_bytes()) + " so far, " +
                    std::to_string(std::max(0L, std::lround(seconds_left()))) + " s left");
  }

  std::optional<ProbeResult> measure(const Plan& plan);  // none: given up
  void run_steps(const Plan& plan, ProbeResult& result);

  const RunConfig& config_;
  at::Device device_;
  const ProbeListener& listener_;
  ProbeSearch search_;
  const Time begin_ = std::chrono::steady_clock::now();
  Time told_;
};

void Probing::run_steps(const Plan& plan, ProbeResult& result) {
  const JobSpec& spec = config_.spec;
  Model model(spec.model.config, {.sequence_len = spec.sequence_len,
                                  .attention = attention_kind(plan.attention),
                                  .checkpointing = plan.gradient_checkpointing,
                                  .pulse = [&] { pulse(plan); },
                                  .device = device_,
                                  .number = activation_type(spec.precision),
                                  .offload = offloads_activations(spec.offload),
                                  .matrices = matrix_type(spec.precision, spec.master_weights),
                                  .pack_weights = plan.pack_weights});
  pulse(plan);
  const auto optimizer =
      make_optimizer(spec.optimizer, model.layout(), device_, optimizer_options(spec));
  pulse(plan);
  at::Tensor copy;
  if (model.weights().is_cpu() && plan.copy_checkpoints) copy = allocate_copy(model, *optimizer);
  PassGraph pass(model, spec.cuda_graphs, [](const std::string&) {});  // the run says it
  initialize(model.layout(), spec.model.config.initializer_range, spec.seed,
             model.writable_weights());
  pulse(plan);
  const MicroBatch batch = made_up_batch(spec, plan.micro_batch_size);
  for (int step = 0; step < kSteps; ++step) {
    wait_for(device_);
    const Time begin = std::chrono::steady_clock::now();
    pass.forward_backward(batch, 1.0 / static_cast<double>(batch.ids.numel()));
    wait_for(device_);
    const double seconds = seconds_since(begin);
    const bool better = step <= 1 || seconds < result.seconds_per_micro_batch;
    if (better) result.seconds_per_micro_batch = seconds;
    optimizer->update(model.writable_weights(), model.gradients(),
                      optimizer_step(spec, spec.learning_rate, 1));
    const bool enough = seconds > seconds_left() || (step > 0 && seconds > kLongStep);
    if (enough && !pass.will_capture()) break;
  }
}

std::optional<ProbeResult> Probing::measure(const Plan& plan) {
  ProbeResult result;
  result.micro_batch_size = plan.micro_batch_size;
  result.gradient_checkpointing = plan.gradient_checkpointing;
  result.pack_weights = plan.pack_weights;
  result.copy_checkpoints = plan.copy_checkpoints;
  device_memory::release_kept_blocks();
  device_memory::reset_peak();
  tell(plan);
  try {
    run_steps(plan, result);
  } catch (const c10::OutOfMemoryError&) {
    result.oom = true;
    result.seconds_per_micro_batch = 0;
  } catch (const OutOfTime&) {
    return std::nullopt;
  }
  result.memory = device_memory::peak_by_cause();
  result.peak_bytes = device_memory::peak_bytes();
  return result;
}

}  // namespace

std::vector<ProbeResult> probe(const RunConfig& config,
                               at::Device device,
                               const ProbeListener& listener) {
  return Probing(config, device, listener).results();
}

}  // namespace llmctl
