#include <set>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/files/file_name.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

struct PlannedFile {
  std::string name;
  std::string head;                                  // state text, or a safetensors header
  const std::vector<TensorView>* tensors = nullptr;  // follow the head
};

Result<std::vector<PlannedFile>> plan_files(const CheckpointContent& content) {
  std::vector<PlannedFile> files;
  std::set<std::string> names;
  for (const CheckpointShard& shard : content.shards) {
    PlannedFile file{shard.name + ".safetensors", "", &shard.tensors};
    CHECK(is_plain_file_name(file.name) && names.insert(file.name).second);
    file.head = TRY(safetensors_header(shard.tensors, {{"format", "pt"}}));
    files.push_back(std::move(file));
  }
  files.push_back({"state.json", content.state.dump(1) + "\n", nullptr});
  return files;
}

Bytes total_bytes(const std::vector<PlannedFile>& files) {
  Bytes bytes = 0;
  for (const PlannedFile& file : files) {
    bytes += static_cast<Bytes>(file.head.size());
    if (file.tensors == nullptr) continue;
    for (const TensorView& tensor : *file.tensors) bytes += static_cast<Bytes>(tensor.bytes.size());
  }
  return bytes;
}

Result<FileSums> write_file(const fs::path& path, const PlannedFile& file, const DiskStep& step) {
  auto writer = TRY(FileWriter::create(path, step));
  TRY(writer.write(as_bytes(file.head)));
  if (file.tensors != nullptr) {
    for (const TensorView& tensor : *file.tensors) TRY(writer.write(tensor.bytes));
  }
  return writer.finish();
}

// Everything up to the rename; the manifest's text is returned.
Result<std::string> write_directory(const fs::path& directory,
                                    const CheckpointContent& content,
                                    const std::vector<PlannedFile>& files,
                                    const DiskStep& step) {
  TRY(make_directory(directory, step));
  Manifest manifest{content.epoch, content.step, {}};
  for (const PlannedFile& file : files) {
    auto sums = TRY(write_file(directory / file.name, file, step));
    manifest.files.push_back({file.name, std::move(sums)});
  }
  std::string text = to_text(manifest);
  TRY(write_file(directory / "manifest.json", {"manifest.json", text, nullptr}, step));
  TRY(sync_directory(directory, step));
  return text;
}

Status prepare(const fs::path& checkpoints,
               const fs::path& temporary,
               const fs::path& final_path,
               Bytes bytes,
               const DiskStep& step) {
  std::error_code failed;
  fs::create_directories(checkpoints, failed);
  if (failed) return disk_error("cannot make directory", checkpoints, failed.value());
  if (fs::exists(fs::symlink_status(final_path, failed))) {
    return disk_error("cannot save checkpoint", final_path, EEXIST);
  }
  // A .tmp with our name is what a crash left of this very save: garbage by definition.
  if (fs::exists(temporary, failed)) TRY(remove_tree(temporary, step));
  return check_free_space(checkpoints, bytes);
}

}  // namespace

Result<SavedCheckpoint> save_checkpoint(const fs::path& checkpoints,
                                        const CheckpointContent& content,
                                        const SaveOptions& options) {
  const DiskStep& step = options.on_disk_step;
  SavedCheckpoint saved;
  saved.name = "e" + std::to_string(content.epoch) + "-s" + std::to_string(content.step);
  const fs::path final_path = checkpoints / saved.name;
  fs::path temporary = final_path;
  temporary += ".tmp";
  const auto files = TRY(plan_files(content));
  saved.bytes = total_bytes(files);
  TRY(prepare(checkpoints, temporary, final_path, saved.bytes, step));

  auto committed = [&]() -> Status {
    const std::string manifest = TRY(write_directory(temporary, content, files, step));
    saved.bytes += static_cast<Bytes>(manifest.size());
    saved.manifest_hash = content_hash(manifest);
    if (options.before_commit) TRY(options.before_commit());
    return rename_new(temporary, final_path, step);
  }();
  if (!committed.ok()) {
    std::error_code ignored;  // the first error is the one to report
    fs::remove_all(temporary, ignored);
    return committed.error();
  }
  TRY(sync_directory(checkpoints, step));
  return saved;
}

}  // namespace llmctl
