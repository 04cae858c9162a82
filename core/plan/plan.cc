#include "core/plan/plan.h"

#include <array>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"

namespace llmctl {

using nlohmann::json;

static constexpr auto kOrigins =
    std::to_array<const char*>({"given", "default", "predicted", "measured"});

const char* to_string(Origin origin) {
  return kOrigins[static_cast<size_t>(origin)];
}

static void read_origin(JsonReader& reader, const char* name, Origin& origin) {
  std::string text = to_string(origin);
  reader.read(name, text);
  for (size_t i = 0; i < kOrigins.size(); ++i) {
    if (text == kOrigins[i]) {
      origin = static_cast<Origin>(i);
      return;
    }
  }
  reader.fail(name, "given, default, predicted or measured");
}

static void read_checkpointing(JsonReader& reader, Checkpointing& checkpointing) {
  std::string text = to_string(checkpointing);
  reader.read("gradient_checkpointing", text);
  const std::optional<Checkpointing> known = parse_checkpointing(text);
  if (!known) return reader.fail("gradient_checkpointing", "none, selective or block");
  checkpointing = *known;
}

json to_json(const MemoryByCause& memory) {
  return {{"parameters", memory.parameters}, {"gradients", memory.gradients},
          {"optimizer", memory.optimizer},   {"activations", memory.activations},
          {"logits", memory.logits},         {"workspace", memory.workspace}};
}

Result<MemoryByCause> parse_memory(const json& document) {
  // Six causes may be added without overflow.
  constexpr Bytes kMax = std::numeric_limits<Bytes>::max() / 8;
  MemoryByCause memory;
  JsonReader reader(document, "memory");
  reader.read("parameters", memory.parameters, 0, kMax);
  reader.read("gradients", memory.gradients, 0, kMax);
  reader.read("optimizer", memory.optimizer, 0, kMax);
  reader.read("activations", memory.activations, 0, kMax);
  reader.read("logits", memory.logits, 0, kMax);
  reader.read("workspace", memory.workspace, 0, kMax);
  TRY(reader.status());
  return memory;
}

static Status read_memory(JsonReader& reader, const char* name, MemoryByCause& memory) {
  const json* child = reader.child(name);
  if (child != nullptr) memory = TRY(parse_memory(*child));
  return ok_status();
}

std::string checkpointing_text(Checkpointing checkpointing) {
  if (checkpointing == Checkpointing::none) return "";
  return std::string(", ") + to_string(checkpointing) + " checkpointing";
}

json to_json(const Plan& plan) {
  return {{"micro_batch_size", plan.micro_batch_size},
          {"gradient_accumulation_steps", plan.gradient_accumulation_steps},
          {"gradient_checkpointing", to_string(plan.gradient_checkpointing)},
          {"precision", plan.precision},
          {"attention", plan.attention},
          {"on_cpu", plan.on_cpu},
          {"pack_weights", plan.pack_weights},
          {"copy_checkpoints", plan.copy_checkpoints},
          {"micro_batch_origin", to_string(plan.micro_batch_origin)},
          {"checkpointing_origin", to_string(plan.checkpointing_origin)},
          {"predicted", to_json(plan.predicted)},
          {"measured", to_json(plan.measured)},
          {"peak_bytes_predicted", plan.peak_bytes_predicted},
          {"peak_bytes_measured", plan.peak_bytes_measured},
          {"seconds_per_step", plan.seconds_per_step},
          {"tokens_per_second", plan.tokens_per_second},
          {"device_flops", plan.device_flops},
          {"oom_refits", plan.oom_refits}};
}

Result<Plan> parse_plan(const json& document) {
  Plan plan;
  JsonReader reader(document, "plan");
  reader.need("micro_batch_size");
  reader.need("gradient_accumulation_steps");
  reader.read("micro_batch_size", plan.micro_batch_size, 1);
  reader.read("gradient_accumulation_steps", plan.gradient_accumulation_steps, 1);
  read_checkpointing(reader, plan.gradient_checkpointing);
  reader.read("precision", plan.precision);
  reader.read("attention", plan.attention);
  reader.read("on_cpu", plan.on_cpu);
  reader.read("pack_weights", plan.pack_weights);
  reader.read("copy_checkpoints", plan.copy_checkpoints);
  read_origin(reader, "micro_batch_origin", plan.micro_batch_origin);
  read_origin(reader, "checkpointing_origin", plan.checkpointing_origin);
  reader.read("peak_bytes_predicted", plan.peak_bytes_predicted);
  reader.read("peak_bytes_measured", plan.peak_bytes_measured);
  reader.read("seconds_per_step", plan.seconds_per_step);
  reader.read("tokens_per_second", plan.tokens_per_second);
  reader.read("device_flops", plan.device_flops);
  reader.read("oom_refits", plan.oom_refits);
  TRY(read_memory(reader, "predicted", plan.predicted));
  TRY(read_memory(reader, "measured", plan.measured));
  TRY(reader.status());
  return plan;
}

json to_json(const ProbeResult& result) {
  return {{"micro_batch_size", result.micro_batch_size},
          {"gradient_checkpointing", to_string(result.gradient_checkpointing)},
          {"pack_weights", result.pack_weights},
          {"copy_checkpoints", result.copy_checkpoints},
          {"oom", result.oom},
          {"memory", to_json(result.memory)},
          {"peak_bytes", result.peak_bytes},
          {"seconds_per_micro_batch", result.seconds_per_micro_batch},
          {"device_flops", result.device_flops}};
}

Result<ProbeResult> parse_probe_result(const json& document) {
  ProbeResult result;
  JsonReader reader(document, "probe result");
  reader.need("micro_batch_size");
  reader.need("peak_bytes");
  reader.read("micro_batch_size", result.micro_batch_size, 1);
  read_checkpointing(reader, result.gradient_checkpointing);
  reader.read("pack_weights", result.pack_weights);
  reader.read("copy_checkpoints", result.copy_checkpoints);
  reader.read("oom", result.oom);
  reader.read("peak_bytes", result.peak_bytes);
  reader.read("seconds_per_micro_batch", result.seconds_per_micro_batch);
  reader.read("device_flops", result.device_flops);
  TRY(read_memory(reader, "memory", result.memory));
  TRY(reader.status());
  return result;
}

}  // namespace llmctl
