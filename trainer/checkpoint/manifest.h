// manifest.json of a checkpoint: what every other file must be, byte for byte.
//   {"format":"llmctl-checkpoint-1","epoch":1,"step":200,
//    "files":[{"name":"rank-0.safetensors","bytes":123,"crc32c":[4021...]}, ...],"xxh3":"<32 hex>"}
// There is one text for one manifest: xxh3 is the hash of the text before it, and parsing refuses
// any other spelling, so every flipped bit of the manifest itself is found too. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "trainer/files/disk.h"

namespace llmctl {

struct ManifestFile {
  std::string name;  // a plain file name: letters, digits, '.', '_', '-'
  FileSums sums;
};

struct Manifest {
  int64_t epoch = 0, step = 0;
  std::vector<ManifestFile> files;
};

std::string to_text(const Manifest& manifest);
// data_loss on anything that to_text could not have written; `name` stands for the file.
Result<Manifest> parse_manifest(std::string_view text, std::string_view name);
// data_loss, naming file and byte range, when the content is not what the manifest says.
Status verify_content(const ManifestFile& file,
                      std::span<const std::byte> content,
                      std::string_view directory);

}  // namespace llmctl
