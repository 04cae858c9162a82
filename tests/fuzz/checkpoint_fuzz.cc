// A checkpoint directory. The first byte chooses: an even one gives the rest to the safetensors and
// manifest parsers as it is; an odd one splits it at zero bytes into manifest, state and shard and
// fixes the checksums up, so that loading gets past them. Properties: nothing faults, every tensor
// lies inside its file, and a manifest that parses has exactly one spelling.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/fuzz/fuzz_directory.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/crc32c.h"

namespace {

using namespace llmctl;

void touch_tensors(const SafetensorsFile& file) {
  uint32_t crc = 0;
  for (const TensorView& tensor : file.tensors()) {
    crc = crc32c(tensor.bytes, crc);
    if (file.find(tensor.name) != &tensor) std::abort();
  }
}

ManifestFile listed(std::string name, std::string_view content) {
  ManifestFile file{std::move(name), {static_cast<Bytes>(content.size()), {}}};
  if (!content.empty()) file.sums.chunk_crc32c = {crc32c(as_bytes(content))};
  return file;
}

void load_with_right_checksums(std::string_view input) {
  const std::string_view state = next_part(input);
  const Manifest manifest{1, 2, {listed("state.json", state), listed("a.safetensors", input)}};
  put("state.json", state);
  put("a.safetensors", input);
  put("manifest.json", to_text(manifest));
  const auto loaded = load_checkpoint(fuzz_directory());
  if (!loaded.ok()) return;
  for (const auto& [name, shard] : loaded->shards) touch_tensors(shard);
}

void load_as_it_is(std::string_view input) {
  const auto manifest = parse_manifest(input, "input");
  if (manifest.ok() && to_text(*manifest) != input) std::abort();
  put("a.safetensors", input);
  const auto file = SafetensorsFile::open(fuzz_directory() / "a.safetensors");
  if (file.ok()) touch_tensors(*file);
  put("manifest.json", input);
  const auto loaded = load_checkpoint(fuzz_directory());
  if (loaded.ok() && !manifest.ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    load_as_it_is(input);
  } else {
    load_with_right_checksums(input);
  }
  return 0;
}
