// The README.md of an exported model: facts only, those that the source knows (hf_export.h).
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/base/version.h"
#include "trainer/stored/hf_export.h"

namespace llmctl {
namespace {

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void row(std::string& out, const char* name, const std::string& value) {
  if (!value.empty()) out += std::string("| ") + name + " | " + value + " |\n";
}

std::string file_name(const std::string& path) {
  const std::filesystem::path clean = std::filesystem::path(path).lexically_normal();
  return clean.has_filename() ? clean.filename().string() : clean.parent_path().filename().string();
}

std::string length_of(const JobSpec& spec, const nlohmann::json& state) {
  const int64_t tokens = state.value("tokens", int64_t{0});
  return std::to_string(state.value("step", int64_t{0})) + " steps of " +
         std::to_string(spec.global_batch_size) + " x " + std::to_string(spec.sequence_len) +
         " tokens, " + std::to_string(tokens) + " tokens in all";
}

// A loss that is not known is null in state.json.
std::string loss_of(const nlohmann::json& state, const char* name) {
  const auto found = state.find(name);
  return found == state.end() || !found->is_number() ? "" : number(*found, "%.4f");
}

std::string tokenizer_cell(const TokenizerSpec& tokenizer) {
  const std::string size = std::to_string(tokenizer.vocab_size) + " tokens";
  switch (tokenizer.kind) {
    case TokenizerSpec::Kind::bytes:
      return "bytes, " + size;
    case TokenizerSpec::Kind::train:
      return "byte-level BPE learned from the data, " + size;
    case TokenizerSpec::Kind::file:
      return "given, " + size;
  }
  return "";
}

std::string base_of(const ModelSpec& model) {
  if (!model.path.empty()) return "weights and shape of `" + file_name(model.path) + "`";
  if (!model.preset.empty()) return "preset `" + model.preset + "`, from scratch";
  return "from scratch";
}

void training_rows(const JobSpec& spec, const nlohmann::json& state, std::string& out) {
  std::string data;
  for (const DatasetSpec& dataset : spec.datasets) {
    data += (data.empty() ? "`" : ", `") + file_name(dataset.path) + "`";
  }
  row(out, "Base", base_of(spec.model));
  row(out, "Method", spec.method);
  row(out, "Data", data);
  row(out, "Tokenizer", tokenizer_cell(spec.tokenizer));
  row(out, "Length", length_of(spec, state));
  row(out, "Optimizer",
      spec.optimizer + ", learning rate " + number(spec.learning_rate, "%g") + ", " +
          spec.lr_scheduler + ", weight decay " + number(spec.weight_decay, "%g"));
  row(out, "Training loss", loss_of(state, "loss"));
  row(out, "Validation loss", loss_of(state, "eval_loss"));
}

}  // namespace

std::string model_card(const StoredModel& model, DType dtype) {
  const std::string name =
      model.spec && !model.spec->name.empty() ? model.spec->name : file_name(model.path.string());
  std::string out =
      "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- llmctl\n---\n"
      "# " +
      name + "\n\nExported by llmctl " + kVersion + " from a " + model.form +
      ".\n\n"
      "| | |\n|---|---|\n";
  row(out, "Architecture", model.config.architecture);
  row(out, "Parameters", std::to_string(parameter_count(model.config)));
  row(out, "Weights", to_string(dtype));
  row(out, "Context", std::to_string(model.config.max_position_embeddings) + " tokens");
  if (model.spec) training_rows(*model.spec, model.state, out);
  return out +
         "\nLosses are nats per token.\n\n```python\n"
         "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
         "model = AutoModelForCausalLM.from_pretrained(\".\")\n"
         "tokenizer = AutoTokenizer.from_pretrained(\".\")\n```\n";
}

}  // namespace llmctl
