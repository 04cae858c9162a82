#include "trainer/train_state.h"

#include <cmath>
#include <cstring>

#include "core/json_reader.h"

namespace llmctl {
namespace {

constexpr const char *kFirst = "optimizer.first_moment.", *kSecond = "optimizer.second_moment.";

void append_views(std::vector<TensorView>& out,
                  const std::string& prefix,
                  const ParameterLayout& layout,
                  const at::Tensor& flat) {
  const auto* data = static_cast<const std::byte*>(flat.const_data_ptr());
  for (const ParameterSlot& slot : layout.slots()) {
    const auto bytes = static_cast<size_t>(slot.elements) * sizeof(float);
    const auto offset = static_cast<size_t>(slot.offset) * sizeof(float);
    out.push_back({prefix + slot.name, DType::f32, slot.shape, {data + offset, bytes}});
  }
}

Status read_views(const Checkpoint& checkpoint,
                  const std::string& prefix,
                  const ParameterLayout& layout,
                  at::Tensor& flat) {
  for (const ParameterSlot& slot : layout.slots()) {
    const TensorView* from = checkpoint.find(prefix + slot.name);
    if (from == nullptr || from->dtype != DType::f32 || from->shape != slot.shape) {
      return Error{Code::failed_precondition,
                   checkpoint.path.string() + ": " + prefix + slot.name +
                       (from == nullptr ? ": not there" : ": has another shape or type"),
                   "it belongs to another model"};
    }
    fill_from_host(layout.view(flat, slot),
                   [&](float* to) { std::memcpy(to, from->bytes.data(), from->bytes.size()); });
  }
  return ok_status();
}

nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

Status check_same(const Checkpoint& checkpoint, const char* what, bool same) {
  if (same) return ok_status();
  return Error{Code::failed_precondition,
               checkpoint.path.string() + ": was made with another " + what,
               "resume with what the run began with, or start a new job"};
}

}  // namespace

LiveContent live_content(int64_t epoch,
                         const TrainState& state,
                         const RunIdentity& identity,
                         Model& model,
                         AdamW& optimizer) {
  LiveContent live = {
      {}, model.weights().cpu(), optimizer.first_moment().cpu(), optimizer.second_moment().cpu()};
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
                   {"data_hash", identity.data_hash},
                   {"spec", to_json(identity.spec)}};
  CheckpointShard shard = {"rank-0", {}};
  append_views(shard.tensors, "", model.layout(), live.weights);
  append_views(shard.tensors, kFirst, model.layout(), live.first_moment);
  append_views(shard.tensors, kSecond, model.layout(), live.second_moment);
  content.shards.push_back(std::move(shard));
  return live;
}

Status restore_weights(const Checkpoint& checkpoint, Model& model) {
  return read_views(checkpoint, "", model.layout(), model.weights());
}

Result<TrainState> restore(const Checkpoint& checkpoint,
                           const RunIdentity& identity,
                           Model& model,
                           AdamW& optimizer) {
  TrainState state;
  int64_t updates = 0, sequence_len = 0, global_batch_size = 0;
  std::string data_hash;
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
  reader.read("data_hash", data_hash);
  TRY(reader.status());
  JsonReader spec(checkpoint.state["spec"], "state.json: spec");
  spec.read("sequence_len", sequence_len);
  spec.read("global_batch_size", global_batch_size);
  TRY(spec.status());
  TRY(check_same(checkpoint, "text or tokenizer", data_hash == identity.data_hash));
  TRY(check_same(checkpoint, "sequence_len", sequence_len == identity.spec.sequence_len));
  TRY(check_same(checkpoint, "global_batch_size",
                 global_batch_size == identity.spec.global_batch_size));
  TRY(restore_weights(checkpoint, model));
  TRY(read_views(checkpoint, kFirst, model.layout(), optimizer.first_moment()));
  TRY(read_views(checkpoint, kSecond, model.layout(), optimizer.second_moment()));
  optimizer.set_updates(updates);
  return state;
}

}  // namespace llmctl
