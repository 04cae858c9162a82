#include "trainer/formats/gguf/model.h"

#include <algorithm>
#include <array>

#include "trainer/formats/gguf/rope.h"
#include "trainer/formats/hf/layout.h"

namespace llmctl {
namespace {

struct GgufName {
  std::string_view ours, theirs;  // without ".weight" or ".bias"
};
constexpr std::array<GgufName, 13> kParts = {{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
}};
constexpr std::array<GgufName, 4> kOuter = {{
    {"model.embed_tokens", "token_embd"},
    {"model.embed_positions", "position_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
}};

std::string architecture_of(const ModelConfig& config) {
  if (config.architecture == "mistral") return "llama";
  return config.architecture == "gemma3_text" ? "gemma3" : config.architecture;
}

std::string part_name(const ModelConfig& config, std::string_view part) {
  const bool qkv =
      part == "self_attn.q_proj" || part == "self_attn.k_proj" || part == "self_attn.v_proj";
  if (qkv && (config.architecture == "gpt2" || config.architecture == "phi3")) return "attn_qkv";
  if (part == "mlp.gate_proj" && config.architecture == "phi3") return "ffn_up";
  if (part == "post_attention_layernorm" && config.post_norms) return "post_attention_norm";
  const auto* found = std::find_if(kParts.begin(), kParts.end(),
                                   [&](const GgufName& row) { return row.ours == part; });
  CHECK(found != kParts.end());
  return std::string(found->theirs);
}

// "model.layers.3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight"
std::string gguf_name(const ModelConfig& config, std::string_view slot) {
  constexpr std::string_view kLayers = "model.layers.";
  const size_t dot = slot.rfind('.');
  const std::string kind(slot.substr(dot));
  std::string_view module = slot.substr(0, dot);
  if (!module.starts_with(kLayers)) {
    const auto* found = std::find_if(kOuter.begin(), kOuter.end(),
                                     [&](const GgufName& row) { return row.ours == module; });
    CHECK(found != kOuter.end());
    return std::string(found->theirs) + kind;
  }
  module.remove_prefix(kLayers.size());
  const std::string_view layer = module.substr(0, module.find('.'));
  return "blk." + std::string(layer) + "." + part_name(config, module.substr(layer.size() + 1)) +
         kind;
}

std::vector<HfPlace> gguf_places(const ModelConfig& config) {
  std::vector<HfPlace> places;
  const ParameterLayout layout(config);
  for (const ParameterSlot& slot : layout.slots()) {
    HfPlace place = {gguf_name(config, slot.name), slot.shape};
    // Slots of one tensor follow each other.
    if (!places.empty() && places.back().name == place.name) {
      place.first_row = places.back().shape[0];
      place.shape[0] += place.first_row;
      for (auto other = places.rbegin(); other != places.rend() && other->name == place.name;
           ++other) {
        other->shape[0] = place.shape[0];
      }
    }
    places.push_back(std::move(place));
  }
  return places;
}

// Heads whose halves are interleaved in the file; 0: none.
int64_t interleaved_heads(const ModelConfig& config, const std::string& slot) {
  if (architecture_of(config) != "llama") return 0;
  if (slot.find("self_attn.q_proj.") != std::string::npos) return config.num_attention_heads;
  if (slot.find("self_attn.k_proj.") != std::string::npos) return config.num_key_value_heads;
  return 0;
}

// Row j of the first half of a head becomes row 2j, row j of the second half 2j + 1; or back.
void reorder_rows(std::span<float> values, int64_t rows, int64_t heads, bool back) {
  const std::vector<float> from(values.begin(), values.end());
  const size_t width = values.size() / static_cast<size_t>(rows);
  const int64_t dim = rows / heads, half = dim / 2;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t in_head = row % dim;
    const int64_t spread = row - in_head + in_head % half * 2 + in_head / half;
    const auto source = static_cast<size_t>(back ? spread : row) * width;
    const auto target = static_cast<size_t>(back ? row : spread) * width;
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(source), width,
                values.begin() + static_cast<std::ptrdiff_t>(target));
  }
}

// A slot's values between our convention and GGUF's.
StoredTensor converted(const ModelConfig& config, StoredTensor slot, bool back) {
  const int64_t heads = interleaved_heads(config, slot.name);
  const bool shifted = config.norm_plus_one && slot.name.find("norm") != std::string::npos;
  if (heads == 0 && !shifted) return slot;
  slot.read = [inner = slot.read, rows = slot.shape[0], heads, shifted,
               back](std::span<float> out) {
    inner(out);
    if (heads > 0) reorder_rows(out, rows, heads, back);
    for (float& value : out) value += !shifted ? 0.0F : back ? -1.0F : 1.0F;
  };
  return slot;
}

GgufType type_for(const ModelConfig& config, const StoredTensor& tensor, GgufType wanted) {
  if (tensor.shape.size() == 1 || tensor.name == "position_embd.weight") return GgufType::f32;
  const bool head =
      tensor.name == (config.tie_word_embeddings ? "token_embd.weight" : "output.weight");
  if (head && wanted == GgufType::q4_k) wanted = GgufType::q6_k;
  const auto cuts_rows = [&](GgufType type) {
    return tensor.shape.back() % block_elements(type) == 0;
  };
  // Rows that are no whole blocks of 256 get the next larger type, as llama.cpp gives them.
  if (wanted == GgufType::q4_k && !cuts_rows(wanted)) wanted = GgufType::q5_0;
  if (wanted == GgufType::q6_k && !cuts_rows(wanted)) wanted = GgufType::q8_0;
  return cuts_rows(wanted) ? wanted : GgufType::f16;
}

}  // namespace

std::vector<GgufTensor> gguf_tensors(const ModelConfig& config,
                                     const std::vector<StoredTensor>& slots,
                                     GgufType type) {
  std::vector<StoredTensor> theirs;
  theirs.reserve(slots.size());
  for (const StoredTensor& slot : slots) theirs.push_back(converted(config, slot, false));
  std::vector<GgufTensor> out = rope_tensors(config);
  for (StoredTensor& tensor : fuse_slots(gguf_places(config), theirs)) {
    const GgufType chosen = type_for(config, tensor, type);
    out.push_back({std::move(tensor), chosen});
  }
  return out;
}

Result<std::vector<StoredTensor>> slots_of_gguf(const ModelConfig& config, const GgufFile& file) {
  std::map<std::string, StoredTensor> stored;
  for (const StoredTensor& tensor : file.tensors) {
    if (!is_rope_tensor(tensor.name)) stored.emplace(tensor.name, tensor);
  }
  std::vector<StoredTensor> slots = TRY(cut_slots(config, gguf_places(config), stored));
  for (StoredTensor& slot : slots) slot = converted(config, slot, true);
  return slots;
}

}  // namespace llmctl
