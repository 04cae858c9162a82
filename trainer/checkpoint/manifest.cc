#include "trainer/checkpoint/manifest.h"

#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/limits.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/crc32c.h"
#include "trainer/files/file_name.h"

namespace llmctl {
namespace dom = simdjson::dom;
namespace {

constexpr const char* kFormat = "llmctl-checkpoint-1";
constexpr size_t kManifestDepth = 8;

bool read_sums(dom::element element, FileSums& sums) {
  dom::array chunks;
  if (element["bytes"].get(sums.bytes) != simdjson::SUCCESS || sums.bytes < 0) return false;
  if (element["crc32c"].get(chunks) != simdjson::SUCCESS) return false;
  for (const dom::element item : chunks) {
    uint64_t crc = 0;
    if (item.get(crc) != simdjson::SUCCESS) return false;
    if (crc > std::numeric_limits<uint32_t>::max()) return false;
    sums.chunk_crc32c.push_back(static_cast<uint32_t>(crc));
  }
  const Bytes chunk_count = sums.bytes / kChecksumChunk + (sums.bytes % kChecksumChunk != 0);
  return static_cast<Bytes>(sums.chunk_crc32c.size()) == chunk_count;
}

bool read_files(dom::element root, Manifest& manifest) {
  dom::array files;
  std::set<std::string_view> names{"manifest.json"};
  if (root["files"].get(files) != simdjson::SUCCESS) return false;
  for (const dom::element element : files) {
    ManifestFile file;
    std::string_view name;
    if (element["name"].get(name) != simdjson::SUCCESS) return false;
    if (!is_plain_file_name(name) || !names.insert(name).second) return false;
    if (!read_sums(element, file.sums)) return false;
    file.name = name;
    manifest.files.push_back(std::move(file));
  }
  return true;
}

}  // namespace

std::string to_text(const Manifest& manifest) {
  auto files = nlohmann::ordered_json::array();
  for (const ManifestFile& file : manifest.files) {
    files.push_back(
        {{"name", file.name}, {"bytes", file.sums.bytes}, {"crc32c", file.sums.chunk_crc32c}});
  }
  const nlohmann::ordered_json root = {{"format", kFormat},
                                       {"epoch", manifest.epoch},
                                       {"step", manifest.step},
                                       {"files", std::move(files)}};
  std::string text = root.dump();
  text.pop_back();  // the closing brace, to put the hash of everything before it inside
  return text + ",\"xxh3\":\"" + content_hash(text) + "\"}\n";
}

Result<Manifest> parse_manifest(std::string_view text, std::string_view name) {
  const auto damaged = [&](const char* what) {
    return Error{Code::data_loss, std::string(name) + ": damaged manifest: " + what, ""};
  };
  if (text.size() > static_cast<size_t>(limits::kManifestBytes)) return damaged("too long");
  dom::parser parser;
  dom::element root;
  auto failed = parser.allocate(text.size(), kManifestDepth);
  if (failed == simdjson::SUCCESS) failed = parser.parse(text.data(), text.size()).get(root);
  if (failed != simdjson::SUCCESS) return damaged(simdjson::error_message(failed));

  Manifest manifest;
  std::string_view format;
  if (root["format"].get(format) != simdjson::SUCCESS || format != kFormat) {
    return damaged("unknown format");
  }
  if (root["epoch"].get(manifest.epoch) != simdjson::SUCCESS ||
      root["step"].get(manifest.step) != simdjson::SUCCESS) {
    return damaged("no epoch or step");
  }
  if (!read_files(root, manifest)) return damaged("bad list of files");
  if (to_text(manifest) != text) return damaged("content does not match its hash");
  return manifest;
}

Status verify_content(const ManifestFile& file,
                      std::span<const std::byte> content,
                      std::string_view directory) {
  const std::string place = std::string(directory) + "/" + file.name;
  if (static_cast<Bytes>(content.size()) != file.sums.bytes) {
    return Error{Code::data_loss,
                 place + ": has " + std::to_string(content.size()) + " bytes, the manifest says " +
                     std::to_string(file.sums.bytes),
                 ""};
  }
  size_t at = 0;
  for (const uint32_t expected : file.sums.chunk_crc32c) {
    const size_t n = std::min(static_cast<size_t>(kChecksumChunk), content.size() - at);
    if (crc32c(content.subspan(at, n)) != expected) {
      return Error{
          Code::data_loss,
          place + ": damaged between byte " + std::to_string(at) + " and " + std::to_string(at + n),
          ""};
    }
    at += n;
  }
  return ok_status();
}

}  // namespace llmctl
