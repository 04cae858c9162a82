#include "trainer/model/load_model.h"

#include <algorithm>
#include <map>

#include "trainer/device/device_memory.h"

namespace llmctl {
namespace {

Error wrong(const std::filesystem::path& path, const std::string& what) {
  return {Code::invalid_argument, path.string() + ": " + what, ""};
}

// The 16-bit type that all of them have; else fp32, which holds every type.
at::ScalarType type_of_matrices(const StoredModel& stored) {
  const auto is_of = [](DType dtype) {
    return
        [dtype](const StoredTensor& slot) { return slot.shape.size() == 1 || slot.dtype == dtype; };
  };
  if (std::all_of(stored.slots.begin(), stored.slots.end(), is_of(DType::bf16))) {
    return at::kBFloat16;
  }
  return std::all_of(stored.slots.begin(), stored.slots.end(), is_of(DType::f16)) ? at::kHalf
                                                                                  : at::kFloat;
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

Result<Model> load_reader(const StoredModel& stored,
                          const Tokenizer& tokenizer,
                          int64_t sequence_len,
                          at::Device device) {
  if (stored.slots.empty()) return wrong(stored.path, "has no weights");
  if (tokenizer.vocab_size() > stored.config.vocab_size) {
    return wrong(stored.path, "its tokenizer has " + std::to_string(tokenizer.vocab_size()) +
                                  " tokens, the model " + std::to_string(stored.config.vocab_size));
  }
  Model model(stored.config, {.sequence_len = sequence_len,
                              .device = device,
                              .matrices = type_of_matrices(stored),
                              .trains = false});
  TRY(load_weights(stored, model.layout(), model.writable_weights()));
  device_memory::release_kept_blocks();  // that tensors were read into
  return model;
}

}  // namespace llmctl
