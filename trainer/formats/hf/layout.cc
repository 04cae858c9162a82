#include "trainer/formats/hf/layout.h"

#include <algorithm>

namespace llmctl {
namespace {

constexpr size_t kNamesShown = 5;

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

void add_kind(std::string& out, const char* kind, const std::vector<std::string>& names) {
  if (names.empty()) return;
  out += (out.empty() ? "" : "; ") + std::to_string(names.size()) + " " + kind + ": ";
  for (size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) {
    out += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kNamesShown) out += ", …";
}

// How stored tensors differ from those that are needed, in words; empty: they do not.
class Differences {
 public:
  void missing(const std::string& name) { missing_.push_back(name); }
  void unexpected(const std::string& name) { unexpected_.push_back(name); }
  void shape(const std::string& name,
             std::span<const int64_t> expected,
             std::span<const int64_t> got) {
    shapes_.push_back(name + " (expected " + shape_text(expected) + ", got " + shape_text(got) +
                      ")");
  }
  std::string text() const {
    std::string out;
    add_kind(out, "missing", missing_);
    add_kind(out, "of another shape", shapes_);
    add_kind(out, "unexpected", unexpected_);
    return out;
  }

 private:
  std::vector<std::string> missing_, unexpected_, shapes_;
};

// What older files hold besides weights, and the second name of a tied embedding.
bool is_superfluous(const ModelConfig& config, const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attn.bias") ||
         name.ends_with(".attn.masked_bias") ||
         (config.tie_word_embeddings && name == "lm_head.weight");
}

// A file saved from a model without its head says "h.0.…" instead of "transformer.h.0.…".
std::string full_name(const std::string& name, const std::string& prefix) {
  return name.starts_with(prefix) || name == "lm_head.weight" ? name : prefix + name;
}

struct Part {                                    // of a Hugging Face tensor
  int64_t first_row = 0, rows = 0, columns = 1;  // of the slot
  bool transposed = false;
};

Part part_of(const StoredTensor& slot, const HfPlace& place) {
  const int64_t rows = slot.shape[0];
  return {place.first_row, rows, slot.elements() / rows, place.transposed};
}

// Position in the whole tensor, which has `width` numbers per row of the file.
size_t place_in(const Part& part, int64_t width, int64_t row, int64_t column) {
  const int64_t outer = part.transposed ? column : part.first_row + row;
  const int64_t inner = part.transposed ? part.first_row + row : column;
  return static_cast<size_t>(outer * width + inner);
}

int64_t width_of(const std::vector<int64_t>& shape) {
  return shape.size() == 2 ? shape[1] : 1;
}

StoredTensor cut_out(const StoredTensor& whole, const HfPlace& place, StoredTensor slot) {
  slot.dtype = whole.dtype;
  if (place.shape == slot.shape && !place.transposed) {
    slot.read = whole.read;
    return slot;
  }
  slot.read = [whole, part = part_of(slot, place)](std::span<float> out) {
    std::vector<float> values(static_cast<size_t>(whole.elements()));
    whole.read(values);
    size_t next = 0;
    for (int64_t row = 0; row < part.rows; ++row) {
      for (int64_t column = 0; column < part.columns; ++column) {
        out[next++] = values[place_in(part, width_of(whole.shape), row, column)];
      }
    }
  };
  return slot;
}

void put_in(const StoredTensor& slot, const Part& part, int64_t width, std::span<float> out) {
  std::vector<float> values(static_cast<size_t>(slot.elements()));
  slot.read(values);
  size_t next = 0;
  for (int64_t row = 0; row < part.rows; ++row) {
    for (int64_t column = 0; column < part.columns; ++column) {
      out[place_in(part, width, row, column)] = values[next++];
    }
  }
}

}  // namespace

Result<std::vector<StoredTensor>> cut_slots(const ModelConfig& config,
                                            const std::vector<HfPlace>& places,
                                            const std::map<std::string, StoredTensor>& stored) {
  const ParameterLayout layout(config);
  const std::vector<ParameterSlot>& slots = layout.slots();
  CHECK(slots.size() == places.size());
  Differences differences;
  std::map<std::string, bool> good;  // by name: there, and of the right shape
  std::vector<StoredTensor> out;
  for (size_t i = 0; i < slots.size(); ++i) {
    const HfPlace& place = places[i];
    const auto found = stored.find(place.name);
    const bool fits = found != stored.end() && found->second.shape == place.shape;
    const bool first = good.emplace(place.name, fits).second;
    if (fits) {
      out.push_back(cut_out(found->second, place, {slots[i].name, slots[i].shape, {}}));
    } else if (first && found == stored.end()) {
      differences.missing(place.name);
    } else if (first) {
      differences.shape(place.name, place.shape, found->second.shape);
    }
  }
  for (const auto& [name, tensor] : stored) {
    if (!good.contains(name)) differences.unexpected(tensor.name);
  }
  const std::string text = differences.text();
  if (text.empty()) return out;
  return Error{Code::invalid_argument, "its tensors are not those of its config: " + text, ""};
}

std::vector<StoredTensor> fuse_slots(const std::vector<HfPlace>& places,
                                     const std::vector<StoredTensor>& slots) {
  CHECK(places.size() == slots.size());
  std::vector<StoredTensor> out;
  for (size_t first = 0; first < slots.size();) {
    size_t end = first + 1;
    while (end < slots.size() && places[end].name == places[first].name) ++end;
    StoredTensor tensor = {places[first].name, places[first].shape, slots[first].read};
    if (end > first + 1 || places[first].transposed) {
      std::vector<std::pair<StoredTensor, Part>> parts;
      for (size_t i = first; i < end; ++i) {
        parts.emplace_back(slots[i], part_of(slots[i], places[i]));
      }
      tensor.read = [parts, width = width_of(tensor.shape)](std::span<float> values) {
        for (const auto& [slot, part] : parts) put_in(slot, part, width, values);
      };
    }
    out.push_back(std::move(tensor));
    first = end;
  }
  return out;
}

Result<std::vector<StoredTensor>> slots_from_hf(const ModelConfig& config,
                                                const std::vector<StoredTensor>& tensors) {
  const std::vector<HfPlace> places = hf_places(config);
  const std::string prefix = places.front().name.substr(0, places.front().name.find('.') + 1);
  std::map<std::string, StoredTensor> stored;
  for (const StoredTensor& tensor : tensors) {
    if (!is_superfluous(config, tensor.name)) {
      stored.emplace(full_name(tensor.name, prefix), tensor);
    }
  }
  return cut_slots(config, places, stored);
}

std::vector<StoredTensor> hf_from_slots(const ModelConfig& config,
                                        const std::vector<StoredTensor>& slots) {
  return fuse_slots(hf_places(config), slots);
}

}  // namespace llmctl
