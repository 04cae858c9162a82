#include "trainer/run/saving/train_state.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/json_reader.h"
#include "trainer/device/device_memory.h"
#include "trainer/formats/safetensors/stored_tensor.h"

namespace llmctl {
namespace {

constexpr const char* kOptimizerPrefix = "optimizer.";
constexpr int64_t kWidestNumber = 4;  // bytes: the widest number of a checkpoint

DType dtype_of(const at::Tensor& tensor) {
  if (tensor.scalar_type() == at::kBFloat16) return DType::bf16;
  if (tensor.scalar_type() == at::kByte) return DType::u8;
  CHECK(tensor.scalar_type() == at::kFloat);
  return DType::f32;
}

// All that a checkpoint holds, by its names there.
std::vector<NamedTensor> contents(const ParameterLayout& layout,
                                  const Weights& weights,
                                  Optimizer& optimizer) {
  std::vector<NamedTensor> all;
  append_slots(all, "", layout, weights);
  for (NamedTensor& state : optimizer.state(layout)) {
    all.push_back({kOptimizerPrefix + state.name, std::move(state.tensor)});
  }
  return all;
}

// The run may go on with or without fp32 masters.
bool is_weight(const std::string& name) {
  return !name.starts_with(kOptimizerPrefix);
}

Status read_tensors(const Checkpoint& checkpoint, const std::vector<NamedTensor>& into) {
  for (const auto& [name, tensor] : into) {
    const TensorView* from = checkpoint.find(name);
    const bool fits = from != nullptr && at::IntArrayRef(from->shape) == tensor.sizes();
    if (fits && from->dtype != dtype_of(tensor) && is_weight(name)) {
      const StoredTensor stored = TRY(stored_tensor(*from, nullptr, checkpoint.path.string()));
      const auto elements = static_cast<size_t>(tensor.numel());
      fill_from_host(tensor, [&](float* out) { stored.read({out, elements}); });
      continue;
    }
    if (!fits || from->dtype != dtype_of(tensor)) {
      return Error{Code::failed_precondition,
                   checkpoint.path.string() + ": " + name +
                       (from == nullptr ? ": not there" : ": has another shape or type"),
                   "it belongs to another model"};
    }
    const at::Tensor host = tensor.is_cpu() ? tensor : at::empty_like(tensor, at::kCPU);
    std::memcpy(host.mutable_data_ptr(), from->bytes.data(), from->bytes.size());
    if (!tensor.is_cpu()) tensor.copy_(host);
  }
  return ok_status();
}

nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

// Into the next bytes of `copy`; a view of them.
at::Tensor copied(const at::Tensor& tensor, const at::Tensor& copy, int64_t& offset) {
  const auto bytes = static_cast<int64_t>(tensor.nbytes());
  at::Tensor to = copy.narrow(0, offset, bytes).view(tensor.scalar_type()).view(tensor.sizes());
  to.copy_(tensor);
  offset += (bytes + kWidestNumber - 1) / kWidestNumber * kWidestNumber;
  return to;
}

// A run that went on in another precision begins with a scale of its own.
void read_loss_scale(JsonReader& reader, LossScale& scale) {
  double value = 0;
  reader.read("loss_scale", value);
  if (!scale.moves || !(value >= LossScale::kLeast && value <= LossScale::kMost)) return;
  scale.value = value;
  reader.read("loss_scale_good_steps", scale.good_steps);
}

Status check_same(const Checkpoint& checkpoint, const char* what, bool same) {
  if (same) return ok_status();
  return Error{Code::failed_precondition,
               checkpoint.path.string() + ": was made with another " + what,
               "resume with what the run began with, or start a new job"};
}

}  // namespace

CheckpointCommitted checkpoint_facts(const TrainState& state) {
  CheckpointCommitted facts;
  facts.step = state.step;
  facts.tokens = state.tokens;
  facts.loss = state.loss;
  return facts;
}

LiveContent live_content(int64_t epoch,
                         const TrainState& state,
                         const RunIdentity& identity,
                         Model& model,
                         Optimizer& optimizer,
                         const at::Tensor& copy) {
  LiveContent live;
  JobSpec spec = identity.spec;
  spec.env.clear();  // of the run, and perhaps secret; checkpoints are shown around
  CheckpointContent& content = live.content;
  content.epoch = epoch;
  content.step = state.step;
  content.state = {{"step", state.step},
                   {"tokens", state.tokens},
                   {"updates", optimizer.updates()},
                   {"nonfinite_steps", state.nonfinite_steps},
                   {"nonfinite_steps_in_row", state.nonfinite_steps_in_row},
                   {"elapsed_ms", state.elapsed_ms},
                   {"loss", finite_or_null(state.loss)},
                   {"eval_loss", finite_or_null(state.eval_loss)},
                   {"best_eval_loss", finite_or_null(state.best_eval_loss)},
                   {"best_step", state.best_step},
                   {"evaluations_since_best", state.evaluations_since_best},
                   {"loss_steps", state.trend.steps},
                   {"loss_mean", state.trend.mean},
                   {"loss_deviation", state.trend.deviation},
                   {"loss_spikes", state.trend.spikes},
                   {"loss_scale", state.loss_scale.moves ? state.loss_scale.value : 0},
                   {"loss_scale_good_steps", state.loss_scale.good_steps},
                   {"data_hash", identity.data_hash},
                   {"spec", to_json(spec)}};
  CheckpointShard shard = {"rank-0", {}};
  int64_t offset = 0;  // into the copy
  for (const auto& [name, tensor] : contents(model.layout(), model.weights(), optimizer)) {
    const at::Tensor& host =
        live.owned.emplace_back(copy.defined() ? copied(tensor, copy, offset) : tensor.cpu());
    const auto* bytes = static_cast<const std::byte*>(host.const_data_ptr());
    shard.tensors.push_back({name, dtype_of(host), host.sizes().vec(), {bytes, host.nbytes()}});
  }
  content.shards.push_back(std::move(shard));
  return live;
}

at::Tensor allocate_copy(Model& model, Optimizer& optimizer) {
  int64_t bytes = 0;
  for (const NamedTensor& one : contents(model.layout(), model.weights(), optimizer)) {
    const auto size = static_cast<int64_t>(one.tensor.nbytes());
    bytes += (size + kWidestNumber - 1) / kWidestNumber * kWidestNumber;
  }
  const CauseScope cause(Cause::workspace);
  const bool pinned = !model.weights().is_cpu();  // so that the device copies at full speed
  return at::empty({bytes}, at::dtype(at::kByte).pinned_memory(pinned));
}

Result<TrainState> restore(const Checkpoint& checkpoint,
                           const RunIdentity& identity,
                           Model& model,
                           Optimizer& optimizer) {
  TrainState state;
  state.loss_scale = LossScale(identity.spec.precision);
  int64_t updates = 0, sequence_len = 0, global_batch_size = 0;
  int64_t seed = identity.spec.seed;
  double val_set_size = identity.spec.val_set_size;
  std::string data_hash, optimizer_name;
  JsonReader reader(checkpoint.state, "state.json");
  for (const char* name : {"step", "updates", "data_hash", "spec"}) reader.need(name);
  reader.read("step", state.step);
  reader.read("tokens", state.tokens);
  reader.read("updates", updates);
  reader.read("nonfinite_steps", state.nonfinite_steps);
  reader.read("nonfinite_steps_in_row", state.nonfinite_steps_in_row);
  reader.read("elapsed_ms", state.elapsed_ms);
  reader.read_or_nan("loss", state.loss);
  reader.read_or_nan("eval_loss", state.eval_loss);
  reader.read_or_nan("best_eval_loss", state.best_eval_loss);
  reader.read("best_step", state.best_step, -1);
  reader.read("evaluations_since_best", state.evaluations_since_best);
  reader.read("loss_steps", state.trend.steps);
  reader.read("loss_mean", state.trend.mean);
  reader.read("loss_deviation", state.trend.deviation);
  reader.read("loss_spikes", state.trend.spikes);
  read_loss_scale(reader, state.loss_scale);
  reader.read("data_hash", data_hash);
  TRY(reader.status());
  JsonReader spec(checkpoint.state["spec"], "state.json: spec");
  spec.read("sequence_len", sequence_len);
  spec.read("global_batch_size", global_batch_size);
  spec.read("optimizer", optimizer_name);
  spec.read("seed", seed, std::numeric_limits<int64_t>::min());
  spec.read("val_set_size", val_set_size);
  TRY(spec.status());
  TRY(check_same(checkpoint, "text or tokenizer", data_hash == identity.data_hash));
  TRY(check_same(checkpoint, "sequence_len", sequence_len == identity.spec.sequence_len));
  TRY(check_same(checkpoint, "seed", seed == identity.spec.seed));
  TRY(check_same(checkpoint, "val_set_size", val_set_size == identity.spec.val_set_size));
  TRY(check_same(checkpoint, "global_batch_size",
                 global_batch_size == identity.spec.global_batch_size));
  TRY(check_same(checkpoint, "optimizer", optimizer_name == identity.spec.optimizer));
  TRY(read_tensors(checkpoint, contents(model.layout(), model.writable_weights(), optimizer)));
  optimizer.set_updates(updates);
  return state;
}

}  // namespace llmctl
