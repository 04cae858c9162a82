#include "trainer/run/prepare.h"

#include <algorithm>
#include <limits>

#include "core/training/offload.h"
#include "trainer/checkpoint/claim.h"
#include "trainer/model/load_model.h"
#include "trainer/run/device_flops.h"
#include "trainer/run/schedule.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {
namespace {

// As the probe found, else measured now, while no model is in memory.
double sum_device_flops(const RunConfig& config, at::Device device, Collective& ranks) {
  const double known = config.plan.device_flops;
  const double own =
      known > 0 ? known : best_device_flops(device, config.spec.precision, config.cache_dir);
  at::Tensor flops = at::full({1}, own, at::kDouble);
  ranks.sum(flops);
  return flops.item<double>();
}

std::unique_ptr<Model> make_model(const PreparedRun& run, Reporter& report) {
  const RunConfig& config = run.config;
  const JobSpec& spec = config.spec;
  return std::make_unique<Model>(
      spec.model.config, ModelOptions{.sequence_len = spec.sequence_len,
                                      .attention = attention_kind(config.plan.attention),
                                      .checkpointing = config.plan.gradient_checkpointing,
                                      .pulse = [&report] { report.pulse(); },
                                      .device = run.device,
                                      .number = activation_type(spec.precision),
                                      .offload = offloads_activations(spec.offload),
                                      .matrices = matrix_type(spec.precision, spec.master_weights),
                                      .pack_weights = config.plan.pack_weights});
}

// The weights before the first step: those of the model's directory, or random ones.
Status begin(const JobSpec& spec, Model& model, Reporter& report) {
  const std::string& path = spec.model.path;
  if (!path.empty()) {
    const StoredModel base = TRY(open_stored_model(path));
    if (!base.slots.empty()) {
      report.phase("load weights of " + path);
      return load_weights(base, model.layout(), model.writable_weights());
    }
  }
  report.phase(path.empty() ? "initialize" : "initialize: " + path + " has no weights");
  initialize(model.layout(), spec.model.config.initializer_range, spec.seed,
             model.writable_weights());
  return ok_status();
}

// Ranks that resumed at different steps would mix weights of different ages.
Status check_same_step(Collective& ranks, int64_t step) {
  at::Tensor steps = at::zeros({ranks.size()}, at::kLong);
  steps[ranks.rank()] = step;
  ranks.sum(steps);
  if (steps.eq(step).all().item<bool>()) return ok_status();
  return Error{Code::unavailable, "ranks found different checkpoints", ""};
}

// Each rank reads its own worker's files: others at the same paths would be trained on in silence.
Status check_same_data(PreparedRun& run, const WaitFn& wait) {
  const std::vector<std::string> all =
      TRY(run.ranks->exchange("data", run.batches->content_hash(), wait));
  std::string others;
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all.front()) continue;
    others += (others.empty() ? "rank " : ", ") + std::to_string(rank);
  }
  if (others.empty()) return ok_status();
  std::string paths;
  for (const DatasetSpec& dataset : run.config.spec.datasets) paths += " " + dataset.path;
  return Error{
      Code::invalid_argument,
      others + " has other data or another tokenizer than rank 0 at the same paths:" + paths,
      "every worker of a gang needs the same files: compare them, or share a mount"};
}

Status begin_or_resume(PreparedRun& run, Saver& saver, Reporter& report) {
  run.state.loss = run.state.eval_loss = std::numeric_limits<double>::quiet_NaN();
  run.state.loss_scale = LossScale(run.config.spec.precision);
  const std::optional<Checkpoint> from = TRY(saver.newest());
  if (from) {
    run.state = TRY(restore(*from, run.identity, *run.model, *run.optimizer));
    saver.tell_resumed(*from, checkpoint_facts(run.state));
  } else {
    TRY(begin(run.config.spec, *run.model, report));
  }
  if (run.first_rank()) TRY(saver.keep_tokenizer(run.batches->tokenizer()));
  return check_same_step(*run.ranks, run.state.step);
}

}  // namespace

Result<PreparedRun> prepare(const RunConfig& config,
                            at::Device device,
                            Saver& saver,
                            Reporter& report) {
  const JobSpec& spec = config.spec;
  if (!config.cluster_id.empty() && config.rank == 0) {
    const bool knows_own = std::any_of(  // others are of the job that this one retries
        config.resume.begin(), config.resume.end(),
        [](const std::string& path) { return path.starts_with("checkpoints/"); });
    TRY(claim_job_folder(config.job_dir, config.cluster_id, knows_own));
  }
  PreparedRun run(config, device);
  const auto phase = [&report](const std::string& text) { report.phase(text); };
  run.ranks = TRY(Collective::join(config, device, phase));
  run.batches =
      std::make_unique<Batches>(TRY(Batches::open(spec, config.cache_dir, config.threads, phase)));
  if (device.is_cpu()) run.cpus = run.pins->pin(at::get_num_threads());
  run.steps = planned_steps(spec, run.batches->train_sequences());
  run.identity = {spec, run.batches->content_hash()};
  TRY(check_same_data(run, phase));
  run.feed = std::make_unique<DataFeed>(*run.batches, spec, config.plan, run.ranks->rank(),
                                        run.ranks->size());
  TRY(run.feed->check());
  run.device_flops = sum_device_flops(config, device, *run.ranks);
  run.model = make_model(run, report);
  const auto no_graph = [&report](const std::string& why) {
    report.phase("cuda_graphs: not used: " + why);
  };
  run.pass = std::make_unique<PassGraph>(*run.model, spec.cuda_graphs, no_graph);
  run.optimizer =
      make_optimizer(spec.optimizer, run.model->layout(), device, optimizer_options(spec));
  if (run.first_rank() && config.plan.copy_checkpoints) {
    run.checkpoint_copy = allocate_copy(*run.model, *run.optimizer);
  }
  TRY(begin_or_resume(run, saver, report));
  return run;
}

}  // namespace llmctl
