#include "trainer/formats/hf/directory.h"

#include <set>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/file_name.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr Bytes kModelConfigBytes = 1 << 20;  // real ones have a few KiB
constexpr Bytes kIndexBytes = 64 << 20;       // 100 bytes per tensor
constexpr size_t kShards = 4'096;             // the largest public models have 200
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

bool is_there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

Result<std::string> read_text(const fs::path& file, Bytes most) {
  const auto mapped = TRY(MappedFile::open(file));
  if (static_cast<Bytes>(mapped->bytes().size()) > most) {
    return invalid(file.string() + ": is larger than " + format_bytes(most));
  }
  return std::string(as_text(mapped->bytes()));
}

Result<nlohmann::json> read_json(const fs::path& file, Bytes most) {
  const std::string text = TRY(read_text(file, most));
  auto document = TRY(parse_json(text, file.string()));
  if (!document.is_object()) return invalid(file.string() + ": is not a JSON object");
  return document;
}

// The tensors of one file; `expected` are those the index puts there, nullptr: all.
Status read_shard(const fs::path& file,
                  const std::set<std::string>* expected,
                  std::vector<StoredTensor>& tensors) {
  const auto shard = std::make_shared<SafetensorsFile>(TRY(SafetensorsFile::open(file)));
  for (const TensorView& view : shard->tensors()) {
    if (expected != nullptr && !expected->contains(view.name)) {
      return invalid(file.string() + ": tensor \"" + view.name + "\": is not where " + kIndex +
                     " says");
    }
    tensors.push_back(TRY(stored_tensor(view, shard, file.string())));
  }
  if (expected == nullptr) return ok_status();
  for (const std::string& name : *expected) {
    if (shard->find(name) == nullptr) {
      return invalid(file.string() + ": tensor \"" + name + "\": is not there, though " + kIndex +
                     " says so");
    }
  }
  return ok_status();
}

Status read_shards(const fs::path& directory, std::vector<StoredTensor>& tensors) {
  const fs::path index = directory / kIndex;
  const nlohmann::json document = TRY(read_json(index, kIndexBytes));
  if (!document.contains("weight_map") || !document["weight_map"].is_object()) {
    return invalid(index.string() + ": weight_map: expected an object");
  }
  std::map<std::string, std::set<std::string>> files;
  for (const auto& [tensor, file] : document["weight_map"].items()) {
    // A plain name: the index cannot reach outside the directory.
    if (!file.is_string() || !is_plain_file_name(file.get<std::string>())) {
      return invalid(index.string() + ": tensor \"" + tensor +
                     "\": expected the name of a file beside it, got " + dump_json(file));
    }
    files[file.get<std::string>()].insert(tensor);
    if (files.size() > kShards) {
      return invalid(index.string() + ": names more than " + std::to_string(kShards) + " files");
    }
  }
  for (const auto& [file, names] : files) TRY(read_shard(directory / file, &names, tensors));
  return ok_status();
}

// A directory with weights that we cannot read must not pass for one without weights.
Status refuse_other_weights(const fs::path& directory) {
  std::error_code failed;
  for (fs::directory_iterator it(directory, failed), end; !failed && it != end;
       it.increment(failed)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth" ||
        extension == ".safetensors") {
      return Error{Code::invalid_argument,
                   directory.string() + ": holds weights in " + it->path().filename().string() +
                       ", expected " + kSingle + " or " + kIndex,
                   "save it with Transformers' save_pretrained; pickled files are never read"};
    }
  }
  return ok_status();
}

}  // namespace

Result<Companions> read_companions(const fs::path& directory) {
  Companions companions;
  for (const char* name : kCompanionNames) {
    if (!is_there(directory / name)) continue;
    companions[name] = TRY(read_text(directory / name, limits::kTokenizerFileBytes));
  }
  return companions;
}

Result<HfDirectory> open_hf_directory(const fs::path& directory) {
  HfDirectory model;
  model.config_json = TRY(read_json(directory / "config.json", kModelConfigBytes));
  auto config = parse_hf_config(model.config_json);
  if (!config.ok()) {
    Error error = config.error();
    error.message = directory.string() + "/" + error.message;
    return error;
  }
  model.config = *config;
  if (is_there(directory / kSingle)) {
    TRY(read_shard(directory / kSingle, nullptr, model.tensors));
  } else if (is_there(directory / kIndex)) {
    TRY(read_shards(directory, model.tensors));
  } else {
    TRY(refuse_other_weights(directory));
  }
  model.companions = TRY(read_companions(directory));
  return model;
}

}  // namespace llmctl
