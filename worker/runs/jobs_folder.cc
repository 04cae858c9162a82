#include "worker/runs/jobs_folder.h"

#include <unistd.h>

#include "core/base/random_hex.h"
#include "worker/files/open_file.h"

namespace llmctl::worker {

namespace fs = std::filesystem;

static constexpr size_t kIdBytes = 64;  // of the file; ids have 32

static std::string read_id(const fs::path& file) {
  const std::string text = read_small_file(file, kIdBytes).value_or("");
  return text.substr(0, text.find('\n'));
}

std::string jobs_folder_id(const fs::path& jobs_dir) {
  const fs::path file = jobs_dir / "folder";
  std::string id = read_id(file);
  if (!id.empty()) return id;
  std::error_code ignored;
  fs::create_directories(jobs_dir, ignored);
  // A link is made only where there is none: of several workers the first one names the folder.
  const std::string mine = random_hex(16);
  const fs::path draft = jobs_dir / ("folder." + mine);
  if (!replace_file(draft, mine + "\n", true).ok()) return "";
  (void)!::link(draft.c_str(), file.c_str());
  ::unlink(draft.c_str());
  return read_id(file);
}

}  // namespace llmctl::worker
