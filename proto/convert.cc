#include "proto/convert.h"

#include <algorithm>
#include <array>

#include "core/base/utf8.h"
#include "proto/checks.h"

namespace llmctl {
namespace {

constexpr Bytes kPlaceBytes = 8 << 10;  // a path and a little more

constexpr auto kOrigins = std::to_array<Origin>(
    {Origin::given, Origin::preset_default, Origin::predicted, Origin::measured});

std::optional<Origin> parse_origin(std::string_view text) {
  for (const Origin origin : kOrigins) {
    if (text == to_string(origin)) return origin;
  }
  return std::nullopt;
}

const char* phase_name(RunStatus::Phase phase) {
  switch (phase) {
    case RunStatus::Phase::spawning:
      return "spawning";
    case RunStatus::Phase::up:
      return "up";
    case RunStatus::Phase::ended:
      return "ended";
  }
  return "";
}

std::optional<RunStatus::Phase> parse_phase(std::string_view text) {
  using Phase = RunStatus::Phase;
  for (const Phase phase : {Phase::spawning, Phase::up, Phase::ended}) {
    if (text == phase_name(phase)) return phase;
  }
  return std::nullopt;
}

}  // namespace

v1::Device to_wire(const Device& device) {
  v1::Device out;
  out.set_index(device.index);
  out.set_kind(wire::utf8(device.kind));
  out.set_uuid(wire::utf8(device.uuid));
  out.set_name(wire::utf8(device.name));
  out.set_memory_total(device.memory_total);
  out.set_memory_foreign(device.memory_foreign);
  out.set_slots(device.slots);
  out.set_healthy(device.healthy);
  return out;
}

Result<Device> from_wire(const v1::Device& device) {
  Device out;
  out.index = TRY(wire::at_least("index", device.index(), 0));
  out.kind = TRY(wire::text("kind", device.kind(), limits::kNameBytes));
  if (out.kind != "cpu" && out.kind != "cuda") {
    return wire::bad_field("kind", "expected cpu or cuda, got \"" + out.kind + '"');
  }
  out.uuid = TRY(wire::text("uuid", device.uuid(), limits::kNameBytes));
  out.name = TRY(wire::text("name", device.name(), limits::kNameBytes));
  out.memory_total = TRY(wire::at_least("memory_total", device.memory_total(), int64_t{0}));
  out.memory_foreign = TRY(wire::at_least("memory_foreign", device.memory_foreign(), int64_t{0}));
  out.slots = TRY(wire::at_least("slots", device.slots(), 0));
  out.healthy = device.healthy();
  return out;
}

v1::Inventory to_wire(const Inventory& inventory) {
  v1::Inventory out;
  out.set_hostname(wire::utf8(inventory.hostname));
  out.set_version(wire::utf8(inventory.version));
  out.set_cpus(inventory.cpus);
  out.set_ram_total(inventory.ram_total);
  out.set_place(wire::utf8(inventory.place));
  out.set_jobs_folder(wire::utf8(inventory.jobs_folder));
  for (const Device& device : inventory.devices) *out.add_devices() = to_wire(device);
  return out;
}

Result<Inventory> from_wire(const v1::Inventory& inventory) {
  Inventory out;
  out.hostname = TRY(wire::text("hostname", inventory.hostname(), 256));
  out.version = TRY(wire::text("version", inventory.version(), limits::kNameBytes));
  out.cpus = TRY(wire::at_least("cpus", inventory.cpus(), 0));
  out.ram_total = TRY(wire::at_least("ram_total", inventory.ram_total(), int64_t{0}));
  out.devices = TRY(wire::list("devices", inventory.devices(), limits::kDevicesPerWorker,
                               [](const v1::Device& device) { return from_wire(device); }));
  out.place = TRY(wire::text("place", inventory.place(), kPlaceBytes));
  out.jobs_folder = TRY(wire::text("jobs_folder", inventory.jobs_folder(), limits::kNameBytes));
  return out;
}

v1::MemoryByCause to_wire(const MemoryByCause& memory) {
  v1::MemoryByCause out;
  out.set_parameters(memory.parameters);
  out.set_gradients(memory.gradients);
  out.set_optimizer(memory.optimizer);
  out.set_activations(memory.activations);
  out.set_logits(memory.logits);
  out.set_workspace(memory.workspace);
  return out;
}

Result<MemoryByCause> from_wire(const v1::MemoryByCause& memory) {
  MemoryByCause out;
  out.parameters = TRY(wire::at_least("parameters", memory.parameters(), int64_t{0}));
  out.gradients = TRY(wire::at_least("gradients", memory.gradients(), int64_t{0}));
  out.optimizer = TRY(wire::at_least("optimizer", memory.optimizer(), int64_t{0}));
  out.activations = TRY(wire::at_least("activations", memory.activations(), int64_t{0}));
  out.logits = TRY(wire::at_least("logits", memory.logits(), int64_t{0}));
  out.workspace = TRY(wire::at_least("workspace", memory.workspace(), int64_t{0}));
  return out;
}

v1::Plan to_wire(const Plan& plan) {
  v1::Plan out;
  out.set_micro_batch_size(plan.micro_batch_size);
  out.set_gradient_accumulation_steps(plan.gradient_accumulation_steps);
  out.set_gradient_checkpointing(to_string(plan.gradient_checkpointing));
  out.set_precision(plan.precision);
  out.set_attention(plan.attention);
  out.set_on_cpu(plan.on_cpu);
  out.set_pack_weights(plan.pack_weights);
  out.set_copy_checkpoints(plan.copy_checkpoints);
  out.set_micro_batch_origin(to_string(plan.micro_batch_origin));
  out.set_checkpointing_origin(to_string(plan.checkpointing_origin));
  *out.mutable_predicted() = to_wire(plan.predicted);
  *out.mutable_measured() = to_wire(plan.measured);
  out.set_peak_bytes_predicted(plan.peak_bytes_predicted);
  out.set_peak_bytes_measured(plan.peak_bytes_measured);
  out.set_seconds_per_step(plan.seconds_per_step);
  out.set_tokens_per_second(plan.tokens_per_second);
  out.set_device_flops(plan.device_flops);
  out.set_oom_refits(plan.oom_refits);
  return out;
}

Result<Plan> from_wire(const v1::Plan& plan) {
  Plan out;
  out.micro_batch_size =
      TRY(wire::at_least("micro_batch_size", plan.micro_batch_size(), int64_t{0}));
  out.gradient_accumulation_steps = TRY(wire::at_least(
      "gradient_accumulation_steps", plan.gradient_accumulation_steps(), int64_t{0}));
  out.gradient_checkpointing = TRY(wire::enumerator(
      "gradient_checkpointing", plan.gradient_checkpointing(), parse_checkpointing));
  out.precision = TRY(wire::text("precision", plan.precision(), limits::kNameBytes));
  out.attention = TRY(wire::text("attention", plan.attention(), limits::kNameBytes));
  out.on_cpu = plan.on_cpu();
  out.pack_weights = plan.pack_weights();
  out.copy_checkpoints = plan.copy_checkpoints();
  out.micro_batch_origin =
      TRY(wire::enumerator("micro_batch_origin", plan.micro_batch_origin(), parse_origin));
  out.checkpointing_origin =
      TRY(wire::enumerator("checkpointing_origin", plan.checkpointing_origin(), parse_origin));
  out.predicted = TRY(wire::inside("predicted", from_wire(plan.predicted())));
  out.measured = TRY(wire::inside("measured", from_wire(plan.measured())));
  out.peak_bytes_predicted =
      TRY(wire::at_least("peak_bytes_predicted", plan.peak_bytes_predicted(), int64_t{0}));
  out.peak_bytes_measured =
      TRY(wire::at_least("peak_bytes_measured", plan.peak_bytes_measured(), int64_t{0}));
  out.seconds_per_step = plan.seconds_per_step();
  out.tokens_per_second = plan.tokens_per_second();
  out.device_flops = TRY(wire::finite("device_flops", plan.device_flops()));
  out.oom_refits = TRY(wire::at_least("oom_refits", plan.oom_refits(), int64_t{0}));
  return out;
}

v1::ProbeResult to_wire(const ProbeResult& result) {
  v1::ProbeResult out;
  out.set_micro_batch_size(result.micro_batch_size);
  out.set_gradient_checkpointing(to_string(result.gradient_checkpointing));
  out.set_pack_weights(result.pack_weights);
  out.set_copy_checkpoints(result.copy_checkpoints);
  out.set_oom(result.oom);
  *out.mutable_memory() = to_wire(result.memory);
  out.set_peak_bytes(result.peak_bytes);
  out.set_seconds_per_micro_batch(result.seconds_per_micro_batch);
  out.set_device_flops(result.device_flops);
  return out;
}

Result<ProbeResult> from_wire(const v1::ProbeResult& result) {
  ProbeResult out;
  out.micro_batch_size =
      TRY(wire::at_least("micro_batch_size", result.micro_batch_size(), int64_t{1}));
  out.gradient_checkpointing = TRY(wire::enumerator(
      "gradient_checkpointing", result.gradient_checkpointing(), parse_checkpointing));
  out.pack_weights = result.pack_weights();
  out.copy_checkpoints = result.copy_checkpoints();
  out.oom = result.oom();
  out.memory = TRY(wire::inside("memory", from_wire(result.memory())));
  out.peak_bytes = TRY(wire::at_least("peak_bytes", result.peak_bytes(), int64_t{0}));
  out.seconds_per_micro_batch =
      TRY(wire::finite("seconds_per_micro_batch", result.seconds_per_micro_batch()));
  out.device_flops = TRY(wire::finite("device_flops", result.device_flops()));
  return out;
}

v1::Grant to_wire(const Grant& grant) {
  v1::Grant out;
  out.set_rank(grant.rank);
  out.set_worker_id(grant.worker.value);
  out.set_device_index(grant.device_index);
  out.set_device_kind(grant.device_kind);
  out.set_bytes(grant.bytes);
  out.set_worker_name(wire::utf8(grant.worker_name));
  return out;
}

Result<Grant> from_wire(const v1::Grant& grant) {
  Grant out;
  out.rank = TRY(wire::at_least("rank", grant.rank(), 0));
  out.worker.value = TRY(wire::at_least("worker_id", grant.worker_id(), int64_t{1}));
  out.device_index = TRY(wire::at_least("device_index", grant.device_index(), 0));
  out.device_kind = TRY(wire::text("device_kind", grant.device_kind(), limits::kNameBytes));
  out.bytes = TRY(wire::at_least("bytes", grant.bytes(), int64_t{0}));
  out.worker_name = TRY(wire::text("worker_name", grant.worker_name(), limits::kNameBytes));
  return out;
}

v1::Checkpoint to_wire(const CheckpointCommitted& checkpoint) {
  v1::Checkpoint out;
  out.set_step(checkpoint.step);
  out.set_tokens(checkpoint.tokens);
  out.set_path(wire::utf8(checkpoint.path));
  out.set_bytes(checkpoint.bytes);
  out.set_loss(checkpoint.loss);
  out.set_manifest_hash(wire::utf8(checkpoint.manifest_hash));
  out.set_seconds(checkpoint.seconds);
  out.set_folder(wire::utf8(checkpoint.folder));
  return out;
}

Result<CheckpointCommitted> from_wire(const v1::Checkpoint& checkpoint) {
  CheckpointCommitted out;
  out.step = TRY(wire::at_least("step", checkpoint.step(), int64_t{0}));
  out.tokens = TRY(wire::at_least("tokens", checkpoint.tokens(), int64_t{0}));
  out.path = TRY(wire::file_name("path", checkpoint.path()));
  out.bytes = TRY(wire::at_least("bytes", checkpoint.bytes(), int64_t{0}));
  out.loss = checkpoint.loss();
  out.manifest_hash =
      TRY(wire::text("manifest_hash", checkpoint.manifest_hash(), limits::kNameBytes));
  out.seconds = TRY(wire::finite("seconds", checkpoint.seconds()));
  out.folder = TRY(wire::text("folder", checkpoint.folder(), limits::kNameBytes));
  return out;
}

v1::CheckpointRemoved to_wire(const CheckpointRemoved& removed) {
  v1::CheckpointRemoved out;
  out.set_path(wire::utf8(removed.path));
  out.set_corrupt(removed.corrupt);
  return out;
}

Result<CheckpointRemoved> from_wire(const v1::CheckpointRemoved& removed) {
  CheckpointRemoved out;
  out.path = TRY(wire::file_name("path", removed.path()));
  out.corrupt = removed.corrupt();
  return out;
}

v1::Sample to_wire(const SampleGenerated& sample) {
  v1::Sample out;
  out.set_step(sample.step);
  out.set_prompt(cut_utf8(sample.prompt, limits::kSampleBytes));
  out.set_text(cut_utf8(sample.text, limits::kSampleBytes));
  return out;
}

Result<SampleGenerated> from_wire(const v1::Sample& sample) {
  SampleGenerated out;
  out.step = TRY(wire::at_least("step", sample.step(), int64_t{0}));
  out.prompt = TRY(wire::text("prompt", sample.prompt(), limits::kSampleBytes));
  out.text = TRY(wire::text("text", sample.text(), limits::kSampleBytes));
  return out;
}

v1::Progress to_wire(const Progressed& progress) {
  v1::Progress out;
  out.set_step(progress.step);
  out.set_steps(progress.steps);
  out.set_tokens(progress.tokens);
  out.set_loss(progress.loss);
  out.set_eval_loss(progress.eval_loss);
  out.set_learning_rate(progress.learning_rate);
  out.set_grad_norm(progress.grad_norm);
  out.set_tokens_per_second(progress.tokens_per_second);
  out.set_seconds_per_step(progress.seconds_per_step);
  out.set_peak_bytes(progress.peak_bytes);
  out.set_nonfinite_steps(progress.nonfinite_steps);
  out.set_phase(wire::utf8(progress.phase));
  out.set_mfu(progress.mfu);
  for (const double seconds : progress.phase_seconds) out.add_phase_seconds(seconds);
  out.set_train_tokens(progress.train_tokens);
  out.set_unigram_entropy(progress.unigram_entropy);
  for (const double norm : progress.group_grad_norms) out.add_group_grad_norms(norm);
  out.set_loss_spikes(progress.loss_spikes);
  return out;
}

Result<Progressed> from_wire(const v1::Progress& progress) {
  Progressed out;
  out.step = TRY(wire::at_least("step", progress.step(), int64_t{0}));
  out.steps = TRY(wire::at_least("steps", progress.steps(), int64_t{0}));
  out.tokens = TRY(wire::at_least("tokens", progress.tokens(), int64_t{0}));
  out.loss = progress.loss();  // a diverged run says NaN or infinity
  out.eval_loss = progress.eval_loss();
  out.learning_rate = progress.learning_rate();
  out.grad_norm = progress.grad_norm();
  out.tokens_per_second = TRY(wire::finite("tokens_per_second", progress.tokens_per_second()));
  out.seconds_per_step = TRY(wire::finite("seconds_per_step", progress.seconds_per_step()));
  out.peak_bytes = TRY(wire::at_least("peak_bytes", progress.peak_bytes(), int64_t{0}));
  out.nonfinite_steps =
      TRY(wire::at_least("nonfinite_steps", progress.nonfinite_steps(), int64_t{0}));
  out.phase = TRY(wire::text("phase", progress.phase(), limits::kNameBytes));
  out.mfu = TRY(wire::finite("mfu", progress.mfu()));
  const int phases = std::min(progress.phase_seconds_size(), static_cast<int>(kTrainPhases));
  for (int i = 0; i < phases; ++i) {
    out.phase_seconds[static_cast<size_t>(i)] =
        TRY(wire::finite("phase_seconds", progress.phase_seconds(i)));
  }
  out.train_tokens = TRY(wire::at_least("train_tokens", progress.train_tokens(), int64_t{0}));
  out.unigram_entropy = TRY(wire::finite("unigram_entropy", progress.unigram_entropy()));
  const int groups = std::min(progress.group_grad_norms_size(), static_cast<int>(kParameterGroups));
  for (int i = 0; i < groups; ++i) {
    out.group_grad_norms[static_cast<size_t>(i)] = progress.group_grad_norms(i);
  }
  out.loss_spikes = TRY(wire::at_least("loss_spikes", progress.loss_spikes(), int64_t{0}));
  return out;
}

v1::RunStatus to_wire(const RunStatus& status) {
  v1::RunStatus out;
  out.set_job_id(status.job.value);
  out.set_epoch(status.epoch.value);
  out.set_rank(status.rank);
  out.set_phase(phase_name(status.phase));
  out.set_device(wire::utf8(status.device));
  out.set_pid(status.pid);
  if (status.phase == RunStatus::Phase::ended) out.set_outcome(to_string(status.outcome));
  out.set_detail(wire::detail(status.detail));
  for (const ProbeResult& probe : status.probes) *out.add_probes() = to_wire(probe);
  return out;
}

Result<RunStatus> from_wire(const v1::RunStatus& status) {
  RunStatus out;
  out.job.value = TRY(wire::at_least("job_id", status.job_id(), int64_t{1}));
  out.epoch.value = TRY(wire::at_least("epoch", status.epoch(), int64_t{1}));
  out.rank = TRY(wire::at_least("rank", status.rank(), 0));
  out.phase = TRY(wire::enumerator("phase", status.phase(), parse_phase));
  out.device = TRY(wire::text("device", status.device(), limits::kNameBytes));
  out.pid = TRY(wire::at_least("pid", status.pid(), int64_t{0}));
  if (out.phase == RunStatus::Phase::ended) {
    out.outcome = TRY(wire::enumerator("outcome", status.outcome(), parse_outcome));
  }
  out.detail = TRY(wire::text("detail", status.detail()));
  out.probes = TRY(wire::list("probes", status.probes(), limits::kProbeCandidates,
                              [](const v1::ProbeResult& probe) { return from_wire(probe); }));
  return out;
}

}  // namespace llmctl
