#include "trainer/model/load_model.h"

#include <map>

namespace llmctl {
namespace {

Error wrong(const std::filesystem::path& path, const std::string& what) {
  return {Code::invalid_argument, path.string() + ": " + what, ""};
}

}  // namespace

Status load_weights(const StoredModel& stored,
                    const ParameterLayout& layout,
                    const Weights& weights) {
  std::map<std::string_view, const StoredTensor*> by_name;
  for (const StoredTensor& slot : stored.slots) by_name.emplace(slot.name, &slot);
  for (const ParameterSlot& slot : layout.slots()) {
    const auto found = by_name.find(slot.name);
    if (found == by_name.end() || found->second->shape != slot.shape) {
      return wrong(stored.path,
                   "is not the job's model: \"" + slot.name + "\" " +
                       (found == by_name.end() ? "is not in it" : "has another shape in it"));
    }
  }
  if (stored.slots.size() != layout.slots().size()) {
    return wrong(stored.path, "is not the job's model: it has more tensors");
  }
  weights.zero();  // the padding between slots
  for (const ParameterSlot& slot : layout.slots()) {
    fill_from_host(view_of(weights, slot), [&](float* out) {
      by_name.at(slot.name)->read({out, static_cast<size_t>(slot.elements)});
    });
  }
  return ok_status();
}

Result<Model> load_model(const StoredModel& stored,
                         const Tokenizer& tokenizer,
                         ModelOptions options) {
  if (stored.slots.empty()) return wrong(stored.path, "has no weights");
  if (tokenizer.vocab_size() > stored.config.vocab_size) {
    return wrong(stored.path, "its tokenizer has " + std::to_string(tokenizer.vocab_size()) +
                                  " tokens, the model " + std::to_string(stored.config.vocab_size));
  }
  Model model(stored.config, std::move(options));
  TRY(load_weights(stored, model.layout(), model.writable_weights()));
  return model;
}

}  // namespace llmctl
