#include "trainer/checkpoint/claim.h"

#include <fstream>

#include "core/base/write_and_rename.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/job_folder.h"
#include "trainer/files/disk.h"

namespace llmctl {
namespace fs = std::filesystem;

static Error of_another(const fs::path& job_dir, const std::string& why) {
  return {Code::failed_precondition, job_dir.string() + " " + why,
          "start the workers with another --jobs-dir, or move that folder away"};
}

Status claim_job_folder(const fs::path& job_dir, const std::string& cluster, bool known) {
  const fs::path file = job_dir / "cluster";
  std::string owner;
  std::getline(std::ifstream(file), owner);
  if (owner == cluster) return ok_status();
  if (!owner.empty()) return of_another(job_dir, "is of another cluster (" + owner + ")");
  if (!known && !list_checkpoints(checkpoints_of(job_dir)).empty()) {
    return of_another(job_dir, "holds checkpoints that this cluster did not write");
  }
  std::error_code failed;
  fs::create_directories(job_dir, failed);
  if (failed) return disk_error("cannot make directory", job_dir, failed.value());
  const auto problem = write_and_rename(file, cluster + "\n", {});
  if (problem) return disk_error("cannot write", problem->path, problem->error_number);
  return ok_status();
}

}  // namespace llmctl
