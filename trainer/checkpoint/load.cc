#include <algorithm>
#include <charconv>

#include "core/base/limits.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kShardSuffix = ".safetensors";
constexpr int kStateDepth = 64;  // the spec inside it is 5 deep

// "e12-s300" -> {12, 300}
std::optional<std::pair<int64_t, int64_t>> parse_name(const std::string& name) {
  int64_t epoch = 0, step = 0;
  const char* const end = name.data() + name.size();
  if (!name.starts_with('e')) return std::nullopt;
  const auto first = std::from_chars(name.data() + 1, end, epoch);
  if (first.ec != std::errc() || end - first.ptr < 3) return std::nullopt;
  if (first.ptr[0] != '-' || first.ptr[1] != 's') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 2, end, step);
  if (second.ec != std::errc() || second.ptr != end || epoch < 0 || step < 0) return std::nullopt;
  return std::pair(epoch, step);
}

Result<nlohmann::json> parse_state(std::string_view text, const fs::path& file) {
  bool too_deep = false;
  const auto guard = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kStateDepth;
    return !too_deep;  // false drops the value, so depth costs nothing further
  };
  auto state = nlohmann::json::parse(text, guard, /*allow_exceptions=*/false);
  if (state.is_discarded() || too_deep || !state.is_object()) {
    return Error{Code::data_loss, file.string() + ": not a JSON object", ""};
  }
  return state;
}

// Damage to what is listed is data_loss, whatever the layer below calls it.
Error as_damage(Error error) {
  if (error.code == Code::not_found || error.code == Code::invalid_argument) {
    error.code = Code::data_loss;
  }
  return error;
}

Status load_file(const ManifestFile& listed, Checkpoint& checkpoint) {
  const fs::path path = checkpoint.path / listed.name;
  auto mapped = MappedFile::open(path);
  if (!mapped.ok()) return as_damage(mapped.error());
  TRY(verify_content(listed, (*mapped)->bytes(), checkpoint.path.string()));
  checkpoint.bytes += listed.sums.bytes;
  if (listed.name == "state.json") {
    checkpoint.state = TRY(parse_state(as_text((*mapped)->bytes()), path));
  } else if (listed.name.ends_with(kShardSuffix)) {
    auto shard = SafetensorsFile::parse(*mapped, path.string());
    if (!shard.ok()) return as_damage(shard.error());
    const std::string name = listed.name.substr(0, listed.name.size() - kShardSuffix.size());
    checkpoint.shards.emplace(name, std::move(*shard));
  }
  return ok_status();
}

}  // namespace

Result<Checkpoint> load_checkpoint(const fs::path& directory) {
  const auto mapped = TRY(MappedFile::open(directory / "manifest.json"));
  const auto text = as_text(mapped->bytes());
  const auto manifest = TRY(parse_manifest(text, (directory / "manifest.json").string()));
  Checkpoint checkpoint;
  checkpoint.path = directory;
  checkpoint.epoch = manifest.epoch;
  checkpoint.step = manifest.step;
  checkpoint.bytes = static_cast<Bytes>(text.size());
  checkpoint.manifest_hash = content_hash(text);
  // A whole directory under another's name (a restored backup, a slip of `mv`) is not that one.
  const auto named = parse_name(directory.filename().string());
  if (named && *named != std::pair(manifest.epoch, manifest.step)) {
    return Error{Code::data_loss,
                 directory.string() + ": holds the checkpoint of epoch " +
                     std::to_string(manifest.epoch) + ", step " + std::to_string(manifest.step),
                 ""};
  }
  for (const ManifestFile& listed : manifest.files) TRY(load_file(listed, checkpoint));
  if (checkpoint.state.is_null()) {
    return Error{Code::data_loss, directory.string() + ": no state.json in the manifest", ""};
  }
  return checkpoint;
}

const TensorView* Checkpoint::find(std::string_view tensor) const {
  for (const auto& [name, shard] : shards) {
    if (const TensorView* found = shard.find(tensor)) return found;
  }
  return nullptr;
}

FoundCheckpoint newest_readable(std::span<const fs::path> newest_first) {
  FoundCheckpoint found;
  for (const fs::path& path : newest_first) {
    auto loaded = load_checkpoint(path);
    if (loaded.ok()) {
      found.checkpoint = std::move(*loaded);
      break;
    }
    found.rejected.push_back({path, loaded.error()});
  }
  return found;
}

std::vector<fs::path> list_checkpoints(const fs::path& checkpoints) {
  std::vector<std::pair<std::pair<int64_t, int64_t>, fs::path>> found;
  std::error_code failed;
  for (fs::directory_iterator it(checkpoints, failed), end; !failed && it != end;
       it.increment(failed)) {
    std::error_code ignored;
    const auto name = parse_name(it->path().filename().string());
    if (name && it->is_directory(ignored)) found.emplace_back(*name, it->path());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<fs::path> paths;
  paths.reserve(found.size());
  for (auto& [name, path] : found) paths.push_back(std::move(path));
  return paths;
}

}  // namespace llmctl
