#include "trainer/stored/stored_model.h"

#include <nlohmann/json.hpp>

#include "core/training/optimizer_facts.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/job_folder.h"
#include "trainer/data/chat/format.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"
#include "trainer/formats/gguf/model.h"
#include "trainer/formats/gguf/tokenizer.h"
#include "trainer/formats/hf/layout.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

// The tokenizer a checkpoint was trained with: kept beside the checkpoints, else where it came
// from.
Result<Tokenizer> checkpoint_tokenizer(const JobSpec& spec, const fs::path& checkpoint) {
  if (spec.tokenizer.kind == TokenizerSpec::Kind::bytes) return Tokenizer::bytes();
  const fs::path kept = tokenizer_of(fs::absolute(checkpoint).parent_path().parent_path());
  if (fs::exists(kept) || spec.tokenizer.path.empty()) return Tokenizer::load(kept);
  return Tokenizer::load(spec.tokenizer.path);
}

// What lay beside the job's tokenizer when it was given, if that is still the same tokenizer.
Result<Companions> checkpoint_companions(const JobSpec& spec, const Tokenizer& tokenizer) {
  Companions companions;
  if (!spec.tokenizer.path.empty() && fs::exists(spec.tokenizer.path)) {
    const auto given = TRY(MappedFile::open(spec.tokenizer.path));
    if (as_text(given->bytes()) == tokenizer.json()) {
      companions = TRY(read_companions(fs::path(spec.tokenizer.path).parent_path()));
    }
  }
  companions["tokenizer.json"] = tokenizer.json();
  return companions;
}

// The template the run laid chats out with. One in a file that is gone can no longer be told.
void add_chat_facts(const Tokenizer& tokenizer, StoredModel& model) {
  const Result<ChatFormat> format = ChatFormat::open(*model.spec);
  if (!format.ok()) return;
  model.companions["chat_template.jinja"] = format->template_source();
  model.turn_end = format->turn_end(tokenizer);
}

Result<StoredModel> open_checkpoint(const fs::path& path) {
  const auto checkpoint = std::make_shared<Checkpoint>(TRY(load_checkpoint(path)));
  if (!checkpoint->state.contains("spec"))
    return invalid(path.string() + ": state.json: spec is missing");
  StoredModel model;
  model.path = path;
  model.form = "checkpoint";
  model.state = checkpoint->state;
  model.spec = TRY(parse_spec_json(checkpoint->state["spec"].dump()));
  model.config = model.spec->model.config;
  const std::string prefix =
      model.spec->ema_decay > 0 ? std::string("optimizer.") + kAveragePrefix : "";
  const ParameterLayout layout(model.config);
  for (const ParameterSlot& slot : layout.slots()) {
    const std::string name = prefix + slot.name;
    const TensorView* view = checkpoint->find(name);
    if (view == nullptr || view->shape != slot.shape) {
      return invalid(path.string() + ": tensor \"" + name +
                     "\": " + (view == nullptr ? "is missing" : "has another shape"));
    }
    model.slots.push_back(TRY(stored_tensor(*view, checkpoint, path.string())));
    model.slots.back().name = slot.name;
  }
  model.tokenizer = [spec = *model.spec, path] { return checkpoint_tokenizer(spec, path); };
  const Result<Tokenizer> tokenizer = model.tokenizer();
  if (tokenizer.ok()) model.companions = TRY(checkpoint_companions(*model.spec, *tokenizer));
  if (tokenizer.ok() && model.spec->method == "sft") add_chat_facts(*tokenizer, model);
  return model;
}

Result<StoredModel> open_directory(const fs::path& path) {
  HfDirectory directory = TRY(open_hf_directory(path));
  StoredModel model;
  model.path = path;
  model.form = "Hugging Face directory";
  model.config = directory.config;
  model.config_json = std::move(directory.config_json);
  if (!directory.tensors.empty()) {
    auto slots = slots_from_hf(model.config, directory.tensors);
    if (!slots.ok()) return invalid(path.string() + ": " + slots.error().message);
    model.slots = std::move(*slots);
  }
  model.companions = std::move(directory.companions);
  model.tokenizer = [path] { return Tokenizer::load(path / "tokenizer.json"); };
  return model;
}

Result<StoredModel> open_gguf(const fs::path& path) {
  const GgufFile file = TRY(read_gguf(path));
  const auto in_file = [&](Error error) {
    error.message.insert(0, path.string() + ": ");
    return error;
  };
  StoredModel model;
  model.path = path;
  model.form = "GGUF file";
  const auto config = config_of_gguf(file);
  if (!config.ok()) return in_file(config.error());
  model.config = *config;
  auto slots = slots_of_gguf(model.config, file);
  if (!slots.ok()) return in_file(slots.error());
  model.slots = std::move(*slots);
  model.config_json = TRY(to_hf_config(model.config));
  model.config_json.update(special_ids_of_gguf(file));
  model.companions = companions_of_gguf(file);
  model.tokenizer = [path, companions = model.companions]() -> Result<Tokenizer> {
    const auto text = companions.find("tokenizer.json");
    if (text != companions.end()) return Tokenizer::parse(text->second, path.string());
    return Error{Code::not_found, path.string() + ": has no tokenizer.huggingface.json", ""};
  };
  return model;
}

}  // namespace

int64_t StoredModel::context_len() const {
  return spec ? spec->sequence_len : config.max_position_embeddings;
}

Result<StoredModel> open_stored_model(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    return Error{Code::not_found, path.string() + ": there is no such file or directory", ""};
  }
  if (fs::exists(path / "manifest.json", ignored)) return open_checkpoint(path);
  if (fs::exists(path / "config.json", ignored)) return open_directory(path);
  if (fs::is_regular_file(path, ignored)) return open_gguf(path);
  return invalid(path.string() +
                 ": is neither a checkpoint nor a Hugging Face directory nor a GGUF file");
}

}  // namespace llmctl
