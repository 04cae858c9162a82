// A GGUF file. Property: whatever it is, reading its keys, its model's shape, its tensors and its
// tokenizer ends without a fault, and every tensor lies inside the file.
#include <cstdint>

#include "tests/fuzz/fuzz_directory.h"
#include "tests/fuzz/model_files.h"
#include "trainer/formats/gguf/gguf.h"
#include "trainer/formats/gguf/model.h"
#include "trainer/formats/gguf/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmctl;
  put("model.gguf", {reinterpret_cast<const char*>(data), size});
  const auto file = read_gguf(fuzz_directory() / "model.gguf");
  if (!file.ok()) return 0;
  read_all(file->tensors);
  (void)companions_of_gguf(*file);
  (void)special_ids_of_gguf(*file);
  const auto config = config_of_gguf(*file);
  if (!config.ok()) return 0;
  const auto slots = slots_of_gguf(*config, *file);
  if (slots.ok()) read_all(*slots);
  return 0;
}
