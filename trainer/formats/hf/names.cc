#include "trainer/formats/hf/names.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {
namespace {

struct HfName {
  std::string_view ours, theirs;  // without ".weight" or ".bias"
};
constexpr std::array<HfName, 9> kGpt2 = {{
    {"input_layernorm", "ln_1"},
    {"post_attention_layernorm", "ln_2"},
    {"self_attn.q_proj", "attn.c_attn"},
    {"self_attn.k_proj", "attn.c_attn"},
    {"self_attn.v_proj", "attn.c_attn"},
    {"self_attn.o_proj", "attn.c_proj"},
    {"mlp.up_proj", "mlp.c_fc"},
    {"mlp.down_proj", "mlp.c_proj"},
    {"norm", "ln_f"},
}};
constexpr std::array<HfName, 5> kPhi3 = {{
    {"self_attn.q_proj", "self_attn.qkv_proj"},
    {"self_attn.k_proj", "self_attn.qkv_proj"},
    {"self_attn.v_proj", "self_attn.qkv_proj"},
    {"mlp.gate_proj", "mlp.gate_up_proj"},
    {"mlp.up_proj", "mlp.gate_up_proj"},
}};

// "model.layers.3.self_attn.q_proj.weight" in its parts; the last two may be empty.
struct Parts {
  std::string_view layer;   // "3"
  std::string_view module;  // "self_attn.q_proj"
  std::string_view kind;    // "weight"
};
Parts parts_of(std::string_view name) {
  Parts parts;
  constexpr std::string_view kModel = "model.", kLayers = "layers.";
  name.remove_prefix(kModel.size());
  if (name.starts_with(kLayers)) {
    name.remove_prefix(kLayers.size());
    parts.layer = name.substr(0, name.find('.'));
    name.remove_prefix(parts.layer.size() + 1);
  }
  parts.module = name.substr(0, name.rfind('.'));
  parts.kind = name.substr(name.rfind('.') + 1);
  return parts;
}

template <size_t N>
std::string_view renamed(const std::array<HfName, N>& table, std::string_view module) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const HfName& r) { return r.ours == module; });
  return found == table.end() ? module : found->theirs;
}

std::string gpt2_name(const std::string& ours) {
  if (ours == "lm_head.weight") return ours;
  if (ours == "model.embed_tokens.weight") return "transformer.wte.weight";
  if (ours == "model.embed_positions.weight") return "transformer.wpe.weight";
  const Parts parts = parts_of(ours);
  std::string name = "transformer.";
  if (!parts.layer.empty()) name += "h." + std::string(parts.layer) + ".";
  return name + std::string(renamed(kGpt2, parts.module)) + "." + std::string(parts.kind);
}

std::string phi3_name(const std::string& ours) {
  const Parts parts = parts_of(ours);
  if (parts.layer.empty()) return ours;
  const std::string part =
      std::string(renamed(kPhi3, parts.module)) + "." + std::string(parts.kind);
  return "model.layers." + std::string(parts.layer) + "." + part;
}

}  // namespace

std::vector<HfPlace> hf_places(const ModelConfig& config) {
  const ParameterLayout ours(config);
  const bool gpt2 = config.architecture == "gpt2", phi3 = config.architecture == "phi3";
  std::vector<HfPlace> places;
  for (const ParameterSlot& slot : ours.slots()) {
    HfPlace place = {gpt2   ? gpt2_name(slot.name)
                     : phi3 ? phi3_name(slot.name)
                            : slot.name,
                     slot.shape};
    // Slots of one tensor follow each other.
    if (!places.empty() && places.back().name == place.name) {
      place.first_row = places.back().shape[0];
      place.shape[0] += place.first_row;
      for (auto other = places.rbegin(); other != places.rend(); ++other) {
        if (other->name != place.name) break;
        other->shape[0] = place.shape[0];
      }
    }
    places.push_back(std::move(place));
  }
  for (HfPlace& place : places) {
    if (!gpt2 || place.shape.size() != 2 || !place.name.starts_with("transformer.h.")) continue;
    place.transposed = true;
    std::swap(place.shape[0], place.shape[1]);
  }
  return places;
}

}  // namespace llmctl
