// A Hugging Face directory, its files separated by zero bytes: config.json, the index (empty:
// none), the tokenizer's configuration, and one file of weights. Property: whatever they are,
// opening them and reading the weights ends without a fault.
#include <cstdint>

#include "tests/fuzz/fuzz_directory.h"
#include "tests/fuzz/model_files.h"
#include "trainer/formats/hf/directory.h"
#include "trainer/formats/hf/layout.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmctl;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  put("config.json", next_part(input));
  const std::string_view index = next_part(input);
  put("tokenizer_config.json", next_part(input));
  const char* whole = "model.safetensors";
  const char* shard = "model-00001-of-00001.safetensors";
  for (const char* name : {whole, shard, "model.safetensors.index.json"}) {
    std::filesystem::remove(fuzz_directory() / name);
  }
  if (!index.empty()) put("model.safetensors.index.json", index);
  put(index.empty() ? whole : shard, input);
  const auto directory = open_hf_directory(fuzz_directory());
  if (!directory.ok()) return 0;
  read_all(directory->tensors);
  const auto slots = slots_from_hf(directory->config, directory->tensors);
  if (slots.ok()) read_all(*slots);
  return 0;
}
